import { boolean, didYouMean, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { checkLifetimes, LIFETIMES, shorter, type Lifetimes } from './auth-lifetimes.js'
import { modeOfBoth, withProofs } from './auth-proofs.js'
import type { DpopMode } from './dpop-options.js'
import type { Method, MethodMiddleware } from './method.js'

/** What one route or guard asks of a caller beyond the general setting. */
export interface AuthNarrowing {
  /** Names of the methods whose proof counts, such as `['bearer']`. Default: all that are configured. Others: 401. */
  methods?: readonly string[]
  /**
   * Longest lifetime of a credential, in seconds from its issue to its end. Default: what its method accepts. Longer, or without
   * an end: 401 `invalid-token`.
   */
  maxLifetimeSeconds?: number
  /**
   * The same for credentials that are bound to a key which the caller showed, of which a thief has no use. Default: `maxLifetimeSeconds`.
   * Longer: 401 `invalid-token`.
   */
  maxBoundLifetimeSeconds?: number
  /**
   * `'required'`: only access tokens with a proof of possession count (RFC 9449); `'off'`: those without. Default: what methods accept.
   * Others: 401 `invalid-token`.
   */
  dpop?: DpopMode
  /**
   * Only callers that showed a client certificate count: by a token that is bound to it (RFC 8705), or known by it. Default false. Others:
   * 401 `invalid-token`.
   */
  certificateBound?: boolean
  /**
   * What `maxLifetimeSeconds` is going to be: longer lifetimes are put on record as reported refusals, and pass; not those of bound
   * credentials with another limit of their own. To see who has to change
   * before it is enforced. Default: nothing is reported.
   */
  reportLifetimeSeconds?: number
  /**
   * Lets callers without any credential pass as anonymous. Default false. A bad credential is 401 all the same, a credential of a kind
   * that is not accepted too, and an identity provider that cannot be reached is 503.
   */
  optional?: boolean
}

export interface AuthOptions extends AuthNarrowing {
  /** Ways to prove who is calling, tried in turn: the first that recognises its credential decides. Required, unless `all` is there. */
  any?: readonly MethodMiddleware[]
  /** Ways that must all succeed. The principal is that of the first; a missing one is 401 `unauthenticated`. Required, unless `any` is there. */
  all?: readonly MethodMiddleware[]
}

/** A list of methods is short for `{ any: [...] }`. */
export type AuthSetting = readonly MethodMiddleware[] | AuthOptions

/** The same, checked. */
export interface PreparedAuth extends Lifetimes {
  /** Those that may prove a caller. */
  readonly methods: readonly Method[]
  /** Configured, but not counted here: to bring their credential is to bring the wrong one. */
  readonly others: readonly Method[]
  /** Of those, the ones that cannot be as proofs are asked for. What is surely theirs is shown to nobody else. */
  readonly unable: readonly Method[]
  /** Whether all of `methods` must prove the caller. */
  readonly every: boolean
  readonly optional: boolean
  readonly certificateBound: boolean
}

export const NARROWING = ['optional', 'methods', 'dpop', 'certificateBound', ...LIFETIMES] as const
const KNOWN = ['any', 'all', ...NARROWING]

/** @throws ConfigError for whatever could leave a caller unasked */
export function prepareAuth(setting: AuthSetting): PreparedAuth {
  const options: AuthOptions = isList(setting) ? { any: setting } : setting
  knownKeys('auth', options, KNOWN, KNOWN)
  const { optional = false } = options
  if ((options.any === undefined) === (options.all === undefined)) {
    throw new ConfigError(
      'auth needs a list of methods, such as [bearer({ issuer, audience })], or one of { any: [...] } and { all: [...] }',
    )
  }
  const every = options.all !== undefined
  const methods = checkMethods(every ? 'auth.all' : 'auth.any', options.all ?? options.any)
  const counted = checkNames(options.methods, methods)
  // With `all`, each is required anyway: leaving one out would loosen.
  const counts = ({ methodName }: Method) => every || counted.includes(methodName)
  const { able, unable } = withProofs(methods.filter(counts), options.dpop, every)
  return {
    methods: able,
    others: [...methods.filter((method) => !counts(method)), ...unable],
    unable,
    every,
    optional: boolean('auth.optional', optional),
    certificateBound: checkBound(options),
    ...checkLifetimes(options),
  }
}

/**
 * One setting out of the general one and what a route adds: the shorter lifetime, and methods and proofs that both accept. Only
 * a written `optional` takes something away. `undefined` if there is nothing that both accept.
 */
export function mergeAuth(general: AuthSetting, narrowing: AuthNarrowing): AuthOptions | undefined {
  knownKeys('auth', narrowing, NARROWING, NARROWING)
  const base: AuthOptions = isList(general) ? { any: general } : general
  const methods = inBoth(base.methods, narrowing.methods)
  if (methods?.length === 0 && narrowing.methods?.length !== 0) return undefined
  const dpop = modeOfBoth(base.dpop, narrowing.dpop)
  if (dpop === undefined) return undefined
  return {
    ...base,
    ...dpop,
    ...(checkBound(narrowing) && { certificateBound: true }),
    ...(narrowing.optional !== undefined && { optional: narrowing.optional }),
    ...(methods !== undefined && { methods }),
    ...shorter(base, narrowing),
  }
}

function inBoth(
  general: readonly string[] | undefined,
  narrowing: readonly string[] | undefined,
): readonly string[] | undefined {
  if (narrowing === undefined) return general
  const asked: unknown = narrowing
  if (!Array.isArray(asked))
    throw new ConfigError(`auth.methods must list names of methods, got ${show(narrowing)}`)
  return general === undefined ? narrowing : general.filter((name) => narrowing.includes(name))
}

/** Whether only callers with a certificate count. */
export function checkBound({ certificateBound = false }: AuthNarrowing): boolean {
  return boolean('auth.certificateBound', certificateBound)
}

function checkMethods(option: string, given: unknown): readonly Method[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new ConfigError(
      `${option} must list at least one method, such as bearer({ issuer, audience }), got ${show(given)}`,
    )
  }
  const methods = given.map((one: unknown, index) => {
    const stage = (one as Partial<MethodMiddleware> | null | undefined)?.stage
    if (typeof stage?.recognises === 'function') return stage
    throw new ConfigError(
      `${option}[${index}] is no way to prove who is calling; bearer({ issuer, audience }) is one`,
    )
  })
  const names = methods.map(({ methodName }) => methodName)
  const twice = methods.find(({ methodName }, index) => names.indexOf(methodName) !== index)
  if (twice === undefined) return methods
  const { methodName, insteadOfTwo = 'give one of them a `methodName` of its own' } = twice
  throw new ConfigError(
    `${option} lists ${methodName} twice, and the second would never be asked; ${insteadOfTwo}`,
  )
}

function checkNames(names: unknown, methods: readonly Method[]): readonly string[] {
  const known = methods.map(({ methodName }) => methodName)
  if (names === undefined) return known
  if (!Array.isArray(names) || names.length === 0) {
    throw new ConfigError(`auth.methods must name at least one of ${known.join(', ')}, got ${show(names)}`)
  }
  for (const name of names) {
    if (!known.includes(name as string)) {
      throw new ConfigError(
        `auth.methods has ${show(name, known)}, which is none of ${known.join(', ')}${didYouMean(name, known)}`,
      )
    }
  }
  return names as string[]
}

function isList(setting: AuthSetting): setting is readonly MethodMiddleware[] {
  return Array.isArray(setting)
}
