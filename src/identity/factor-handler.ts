import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Factor } from '../kernel/authentication.js'
import { challengesOf } from '../kernel/challenges.js'
import type { Principal, SecurityContext } from '../kernel/context.js'
import { defineHandler, type HandlerReply } from '../kernel/handler.js'
import type { HandlerBody } from '../kernel/handler-body.js'
import type { Later, OnceStore, RecordStore } from '../kernel/ports.js'
import { isProblem, problemIn, type Problem } from '../kernel/problem.js'
import type { Middleware } from '../kernel/stage.js'
import { isStoreUnavailable } from '../kernel/store-unavailable.js'
import { isObject } from '../lib/is-object.js'
import { isStrayPromise } from '../lib/when.js'
import { unauthenticated } from './auth-refusals.js'
import type { PasskeyInfo, PasskeyOwner } from './passkey-record.js'
import { storeAway } from '../kernel/store-away.js'

/** What was proven just now: for the factors of a session, or the claims of a token. */
export interface FactorProof {
  /** Whose it is: the `id` of the principal that enrolled it. */
  readonly subject: string
  readonly factor: Factor
  /** The same for `amr` of a token, by the names of RFC 8176 where they have one. */
  readonly amr: readonly string[]
  /** Of a passkey: which one, and who registered it. */
  readonly passkey?: PasskeyInfo & { readonly owner: PasskeyOwner }
}

export interface FactorHooks {
  /** What an authenticator shows beside the name of the service, such as an address. Default: the subject of the principal. */
  account?: (principal: Principal) => string
  /**
   * Called when a factor was shown: note it in the session of the `subject`, or issue a token with its `amr` and time. At a login with a
   * passkey the caller may be somebody else, or nobody. What it returns is the JSON of the reply; a `Problem` refuses, also one that it
   * throws as `RefusedError`. Default: nobody is told, and the reply has the factor.
   */
  verified?: (proof: FactorProof, req: IncomingMessage, res: ServerResponse) => unknown
}

/**
 * What `account` says of a caller.
 *
 * @throws TypeError for what is no text, such as a promise: it must answer at once
 */
export function accountOf(account: NonNullable<FactorHooks['account']>, principal: Principal): string {
  const said: unknown = account(principal)
  if (isStrayPromise(said) || typeof said !== 'string') throw new TypeError('account gave no text')
  return said
}

/** The outside world of one call: of a request, or of whoever calls without one. */
export interface Outside {
  readonly records: RecordStore
  readonly once: OnceStore
  /** In milliseconds since 1970. */
  readonly now: () => number
}

export type FactorAction = (
  ctx: SecurityContext,
  body: HandlerBody,
) => Promise<Readonly<Record<string, unknown>> | Problem>

/** One endpoint of a factor: JSON in and out; a store that is away is 503. */
export function factorHandler(
  name: string,
  method: 'GET' | 'POST',
  action: FactorAction,
  maxBodyBytes?: number,
): Middleware {
  const answer = async (ctx: SecurityContext, body: HandlerBody): Promise<HandlerReply | Problem> => {
    try {
      const outcome = await action(ctx, body)
      return isProblem(outcome) ? outcome : { json: outcome }
    } catch (error) {
      if (isStoreUnavailable(error)) return storeAway(error.retryMs, 'The store of factors cannot be reached')
      const problem = problemIn(error)
      if (problem !== undefined) return problem
      throw error
    }
  }
  // A browser sends JSON to another site only after a preflight, so that no foreign page can post here.
  return defineHandler(name, {
    methods: [method],
    body: method === 'POST' ? ['json'] : [],
    answer,
    ...(maxBodyBytes !== undefined && { maxBodyBytes }),
  })
}

/** One that is only for who is known already. */
export function ownFactorHandler(
  name: string,
  method: 'GET' | 'POST',
  action: (
    principal: Principal,
    ctx: SecurityContext,
    body: HandlerBody,
  ) => Later<ReturnType<FactorAction> | Problem>,
  maxBodyBytes?: number,
): Middleware {
  return factorHandler(
    name,
    method,
    async (ctx, body) =>
      ctx.principal === undefined ? unauthenticated(challengesOf(ctx)) : action(ctx.principal, ctx, body),
    maxBodyBytes,
  )
}

/** Tells who keeps factors, and the client. */
export async function conclude(
  ctx: SecurityContext,
  proof: FactorProof,
  verified: FactorHooks['verified'],
  more: Readonly<Record<string, unknown>> = {},
): Promise<Readonly<Record<string, unknown>> | Problem> {
  ctx.record('factor-verified', { subject: proof.subject, method: proof.factor.method })
  const said = await verified?.(proof, ctx.req, ctx.res)
  if (isProblem(said)) return said
  return { ...(isObject(said) ? said : { factor: proof.factor }), ...more }
}
