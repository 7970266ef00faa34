import { ambientProof, unaskedBy, type AmbientProof } from '../kernel/ambient.js'
import { challenges } from '../kernel/challenges.js'
import { slot, type Principal, type SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import type { Finding, Stage, Verdict } from '../kernel/stage.js'
import { isStrayPromise, when } from '../lib/when.js'
import { limitedLifetimes } from './auth-lifetimes.js'
import { prepareAuth, type AuthSetting } from './auth-options.js'
import {
  judgeCertificate,
  judgeLifetime,
  otherMethod,
  sentTwice,
  severalSent,
  unauthenticated,
} from './auth-refusals.js'
import { authorizationCount } from './authorization.js'
import type { Method } from './method.js'
import { knowsSeveral } from './several-issuers.js'

export type { AuthNarrowing, AuthOptions, AuthSetting } from './auth-options.js'

/** What each of several methods proved, where `ctx.principal` is not the whole of it. */
export const proofs = slot<readonly Principal[]>('auth.proofs')

/**
 * Establishes who is calling: the first method that recognises a credential decides; with `all`, every method must. No
 * credential: 401 `unauthenticated` with the challenges of all methods. Two `Authorization` headers, credentials of two
 * methods, or something in `Authorization` beside a credential that is elsewhere: 400 `invalid-request`; but a cookie says
 * nothing beside what was sent on purpose. A bad credential is refused as its method says, also where it is optional.
 *
 * @example
 * app.use(auth([bearer({ issuer: 'https://id.example.com', audience: 'https://api.example.com' })]))
 * @throws ConfigError for an empty list, for what is no method, and for names that no method has
 */
export const auth = defineStage('auth', (setting: AuthSetting): Omit<Stage, 'name'> => {
  const prepared = prepareAuth(setting)
  const { methods, others, unable, every, optional, certificateBound } = prepared
  const offered = methods.flatMap((method) => method.challenge())
  const explicit = methods.filter((one) => !isAmbient(one))
  const unasked = methods.filter(isAmbient)
  const why = methods.map(unaskedBy).find((one) => one !== undefined)

  const withoutCredential = (ctx: SecurityContext): Verdict => {
    if (!optional) return unauthenticated(offered)
    // A credential of a kind that is not accepted here is a bad one, and a bad one is never treated as none.
    if (isExplicit(ctx)) return unauthenticated(offered)
    ctx.note('anonymous', 'no credential was sent, and none is required')
  }

  /** Something was sent on purpose that none of the methods here takes for its own. */
  const isExplicit = (ctx: SecurityContext): boolean =>
    ctx.req.headers.authorization !== undefined ||
    others.some((one) => !isAmbient(one) && recognises(one, ctx))

  /** What was sent on purpose decides alone; what is always sent says nothing beside it. */
  const decide = (ctx: SecurityContext): Verdict | Promise<Verdict> => {
    let sent = recognising(explicit, ctx)
    if (sent.length === 0) sent = recognising(unasked, ctx)
    const method = choose(sent, ctx)
    if (method === undefined) return withoutCredential(ctx)
    if (isAmbient(method) && isExplicit(ctx)) return unauthenticated(offered)
    // RFC 6750 section 2: which of two credentials counts would be anybody's guess.
    const another = (one: Method) => one !== method && !sameCredential(one, method)
    const elsewhere = (one: Method) =>
      isAmbient(one) === isAmbient(method) && another(one) && recognises(one, ctx)
    if (isAside(method, ctx) || sent.some(another) || others.some(elsewhere)) return severalSent(offered)
    const itsOwn = (one: Method) => sameCredential(one, method) && recognises(one, ctx) && isSure(one, ctx)
    if (unable.some(itsOwn)) return otherMethod(offered)
    return prove(ctx, [method])
  }

  /** Asks the methods in turn; all must succeed. Whatever goes wrong, nobody is left half known. */
  const prove = (
    ctx: SecurityContext,
    asked: readonly Method[],
    proven: readonly Principal[] = [],
  ): Verdict | Promise<Verdict> => {
    const method = asked[proven.length]!
    const before = ctx.get(ambientProof)
    // Each method has to say for itself who is calling.
    ctx.principal = undefined
    return when(method.enter(ctx), (verdict) => {
      const { principal } = ctx
      if (verdict !== undefined) return takeBack(ctx, asked.slice(0, proven.length), verdict)
      if (principal === undefined)
        throw new Error(`${method.methodName} let a caller pass without a principal`)
      const said = ctx.get(ambientProof)
      const proof = stricterProof(before, said, method)
      if (proof !== said) ctx.set(ambientProof, proof)
      const all = [...proven, principal]
      const tooLong = judgeLifetime(ctx, principal, prepared, offered)
      if (tooLong !== undefined) return takeBack(ctx, asked.slice(0, all.length), tooLong)

      if (all.length < asked.length) return prove(ctx, asked, all)
      const unbound = certificateBound ? judgeCertificate(all, offered) : undefined
      if (unbound !== undefined) return takeBack(ctx, asked, unbound)
      if (asked.length > 1) {
        ctx.principal = all[0]
        ctx.set(challenges, offered)
        ctx.set(proofs, all)
      }
    })
  }

  const takeBack = (ctx: SecurityContext, succeeded: readonly Method[], verdict: Verdict): Verdict => {
    for (const method of succeeded) method.forget?.(ctx)
    ctx.principal = undefined
    forgetProof(ctx)
    ctx.set(challenges, offered)
    return verdict
  }

  return {
    gives: ['principal'],
    ...(knowsSeveral(prepared) && { severalIssuers: true }),
    ...(why !== undefined && { unasked: why }),

    enter(ctx) {
      ctx.principal = undefined
      forgetProof(ctx)
      ctx.set(challenges, offered)
      if (authorizationCount(ctx.req) > 1) return sentTwice(offered)

      if (!every) return decide(ctx)
      const missing = methods.filter((one) => !recognises(one, ctx))
      if (missing.length === methods.length) return withoutCredential(ctx)
      if (missing.length === 0) {
        if (methods.some((one) => !isAside(one, ctx))) return prove(ctx, methods)
        return explicit.length === 0 ? unauthenticated(offered) : severalSent(offered)
      }
      return unauthenticated(
        missing.flatMap((one) => one.challenge()),
        'credential-missing',
      )
    },

    describe: () => ({
      [every ? 'all' : 'any']: methods.map((one) => ({
        method: one.methodName,
        ...(one.describe?.() as object),
      })),
      optional,
      ...(certificateBound && { certificateBound }),
      ...limitedLifetimes(prepared),
    }),
    findings: (shared) => [
      ...(optional ? [optionalFinding] : []),
      ...methods.flatMap((one) => one.findings?.(shared) ?? []),
    ],
    ready: async (services) => {
      await Promise.all(methods.map(async (one) => one.ready?.(services)))
    },
    close: async () => {
      await Promise.all(methods.map(async (one) => one.close?.()))
    },
  }
})

/** The first whose credential was sent; of those that read the same one, the one that is sure, or else leaves nothing. */
function choose(sent: readonly Method[], ctx: SecurityContext): Method | undefined {
  const first = sent[0]
  // To say whether it is sure a method may have to take the token apart: nobody is asked who has no rival.
  if (first === undefined || !sent.some((one) => one !== first && sameCredential(one, first))) return first
  let unsure: Method | undefined
  for (const one of sent) {
    if (one !== first && !sameCredential(one, first)) continue
    if (isSure(one, ctx)) return one
    if (one.isSure === undefined) unsure ??= one
  }
  return unsure ?? first
}

/** Those whose credential was sent. */
function recognising(methods: readonly Method[], ctx: SecurityContext): readonly Method[] {
  let sent: Method[] | undefined
  for (const one of methods) if (recognises(one, ctx)) (sent ??= []).push(one)
  return sent ?? NONE
}

const NONE: readonly Method[] = []

function isAmbient({ ambient }: Method): boolean {
  return ambient === true
}

/** Whether it leaves something in `Authorization` to others: RFC 9110 section 11.6.2 has credentials there, of whatever scheme. */
function isAside(method: Method, { req }: SecurityContext): boolean {
  return (method.ownField === true || isAmbient(method)) && req.headers.authorization !== undefined
}

/** Of several that were sent unasked, one that machines do not have counts: whoever sent it is a browser. */
function stricterProof(
  before: AmbientProof | undefined,
  said: AmbientProof | undefined,
  method: Method,
): AmbientProof | undefined {
  const own = said !== undefined && said !== before ? said : isAmbient(method) ? SENT_UNASKED : undefined
  return before !== undefined && (own === undefined || before.machines !== true) ? before : own
}

const SENT_UNASKED: AmbientProof = { binding: undefined }

function forgetProof(ctx: SecurityContext): void {
  if (ctx.get(ambientProof) !== undefined) ctx.set(ambientProof, undefined)
}

function sameCredential(one: Method, other: Method): boolean {
  return one.credential !== undefined && one.credential === other.credential
}

function recognises(method: Method, ctx: SecurityContext): boolean {
  return atOnce(method, 'recognises', method.recognises(ctx))
}

function isSure(method: Method, ctx: SecurityContext): boolean {
  return atOnce(method, 'isSure', method.isSure?.(ctx))
}

function atOnce({ methodName }: Method, question: string, found: unknown): boolean {
  if (isStrayPromise(found)) {
    throw new TypeError(`${methodName}: ${question} returned a promise; it must answer at once`)
  }
  return Boolean(found)
}

const optionalFinding: Finding = {
  code: 'auth-optional',
  severity: 'low',
  cause: 'auth.optional lets callers without a credential reach every route that no access rule covers',
  fix: 'write optional only on the routes that are for everyone',
}
