import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { challenges } from '../kernel/challenges.js'
import { slot, type SecurityContext } from '../kernel/context.js'
import type { Later } from '../kernel/ports.js'
import type { Problem } from '../kernel/problem.js'
import { when } from '../lib/when.js'
import { acceptToken, forgetToken, type GoodToken } from './accept-token.js'
import { CertificateReader, type CertificateSource } from './client-certificate.js'
import { DpopProofs } from './dpop.js'
import { stricterMode, type DpopMode, type DpopRules } from './dpop-options.js'
import type { Fault } from './faults.js'
import type { IssuerTerms } from './issuer-terms.js'
import type { Method } from './method.js'
import { Possession } from './possession.js'
import { BEARER, hasToken, isToken, peekToken, schemeOf, sentToken } from './sent-token.js'
import { tokenRefusals } from './token-refusals.js'
import type { Unavailable } from './unavailable.js'

/** What methods say that accept access tokens, each with its own way to judge them. */
export interface TokenMethod extends Pick<Method, 'describe' | 'findings'> {
  readonly methodName: 'bearer' | 'introspection'
  readonly issuers: readonly { readonly name: string; readonly terms: IssuerTerms }[]
  readonly rules: {
    readonly resource: string | undefined
    readonly dpop: DpopRules | undefined
    readonly certificate: CertificateSource
    readonly maxTokenBytes: number
  }
  readonly insteadOfTwo: string
  readonly realm: string
  readonly cacheEntries: number
  /** What the trace says of a token that is let in. */
  readonly why: string
  /** Whether a token is surely of this method. Default: nobody can tell. */
  readonly knows?: (token: string) => boolean
  /**
   * What is remembered of the token with this digest, if anything is.
   *
   * @param now milliseconds since 1970
   */
  readonly known: (digest: string, ctx: SecurityContext, now: number) => GoodToken | Fault | undefined
  /** @param digest SHA-256 of the token, as `latin1` */
  readonly judge: (
    token: string,
    digest: string,
    ctx: SecurityContext,
  ) => Later<GoodToken | Fault | Unavailable>
  readonly ready: NonNullable<Method['ready']>
  readonly close: () => void
}

/** The token of this request and its SHA-256, as `latin1`, where somebody had to know before it was judged. */
const hashed = slot<{ readonly token: string; readonly digest: string }>('token.hashed')

function digestOf(ctx: SecurityContext, token: string): string {
  const before = ctx.get(hashed)
  return before?.token === token ? before.digest : hash('sha256', token, 'binary')
}

/** A method that accepts access tokens: how they are sent, whose they are, and how they are refused, is the same for all. */
export function tokenMethod(own: TokenMethod): Method {
  const { rules } = own
  const proofs = rules.dpop && new DpopProofs(rules.dpop, own.cacheEntries)
  const certificates = new CertificateReader(rules.certificate)
  return inMode(own, rules.dpop?.mode ?? 'off', proofs, certificates)
}

function inMode(
  own: TokenMethod,
  mode: DpopMode,
  proofs: DpopProofs | undefined,
  certificates: CertificateReader,
): Method {
  const { methodName, issuers, rules, insteadOfTwo, realm, why, knows, known, judge, describe, findings } =
    own
  const { resource, dpop, certificate, maxTokenBytes } = rules
  const refusals = tokenRefusals(`${methodName}.realm`, { realm, resource, mode, dpop })
  const { offered } = refusals
  const possession = new Possession(mode, proofs, refusals, certificates)
  const acceptance = { refusals, possession, why }
  const isKnown = (ctx: SecurityContext, token: string): boolean => {
    if (token.length > maxTokenBytes) return false
    const digest = digestOf(ctx, token)
    ctx.set(hashed, { token, digest })
    return typeof known(digest, ctx, ctx.services.clock.now()) === 'object'
  }
  /** Sent in a way that is not accepted here, and no other method may have it for that. */
  const isOwn = (req: IncomingMessage): boolean => {
    if (mode !== 'off' || knows === undefined || schemeOf(req) !== 'dpop') return false
    const token = peekToken(req)
    return token !== undefined && isToken(token) && knows(token)
  }
  const conclude = (
    ctx: SecurityContext,
    token: string,
    digest: string,
    found: GoodToken | Fault | Unavailable,
    now: number,
  ): Later<Problem | undefined> =>
    typeof found === 'string'
      ? refusals.because(found, ctx.req)
      : acceptToken(ctx, token, digest, found, acceptance, now)

  return {
    name: methodName,
    gives: ['principal'],
    methodName,
    credential: BEARER,
    insteadOfTwo,
    recognises: ({ req }) => hasToken(req, mode) || isOwn(req),
    ...(knows !== undefined && {
      isSure(ctx) {
        const token = peekToken(ctx.req)
        if (token === undefined) return false
        // Nobody takes a token apart that was found good before.
        return isKnown(ctx, token) || (isToken(token) && knows(token))
      },
    }),
    challenge: () => offered,
    ...(resource !== undefined && {
      resource: {
        url: resource,
        issuers: issuers.map(({ name }) => name),
        certificateBound: issuers.every(({ terms }) => terms.certificateBound),
        ...(dpop !== undefined && { dpop: { algorithms: dpop.algorithms, required: mode === 'required' } }),
      },
    }),
    narrow(asked) {
      const both = stricterMode(mode, asked)
      return both === undefined || (both !== 'off' && dpop === undefined)
        ? undefined
        : inMode(own, both, proofs, certificates)
    },

    enter(ctx) {
      ctx.principal = undefined
      ctx.set(challenges, offered)
      const token = sentToken(ctx.req, mode, refusals, maxTokenBytes)
      if (typeof token !== 'string') return token
      const digest = digestOf(ctx, token)
      const { clock } = ctx.services
      // Asked once: what is known is known at once.
      const now = clock.now()
      const found = known(digest, ctx, now)
      if (found !== undefined) return conclude(ctx, token, digest, found, now)
      if (!isToken(token)) return refusals.malformed(ctx.req)
      return when(judge(token, digest, ctx), (late) => conclude(ctx, token, digest, late, clock.now()))
    },

    forget: forgetToken,
    ...(describe !== undefined && {
      describe: () => ({
        ...(describe() as object),
        ...(dpop !== undefined && { dpop: described(dpop, mode) }),
        ...(certificate !== 'socket' && { certificate }),
      }),
    }),
    ...(findings !== undefined && { findings }),
    ready: async (services) => {
      certificates.check(services)
      await Promise.all([own.ready(services), proofs?.ready()])
    },
    close: () => {
      own.close()
      proofs?.clear()
      return Promise.resolve()
    },
  }
}

function described({ bases, algorithms, maxAgeSeconds, nonce }: DpopRules, mode: DpopMode): object {
  return {
    mode,
    baseUrls: bases,
    algorithms,
    maxAgeSeconds,
    ...(nonce !== undefined && { nonce: { lifetimeSeconds: nonce.lifetimeSeconds } }),
  }
}
