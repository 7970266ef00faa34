import { func, integer, knownKeys, oneOf, quoted, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Principal } from '../kernel/context.js'
import { claimReader, type ClaimPath } from '../kernel/grants.js'
import { compileRule, type CompiledCatalogue, type CompiledRule, type Rule } from '../kernel/rule.js'
import type { ParamsOf } from '../kernel/validated-params.js'
import type { AccessFacts } from './access-facts.js'

/** What `load` and the other facts are read by: nothing is loaded yet. */
export type LoadFacts = Omit<AccessFacts, 'resource'>

/** A method, so that its parameter may say what the resource is known to be. */
type OwnerOf<Resource> = { of(resource: Resource): Owner }['of']

/** Nobody owns what has no owner. */
export type Owner = string | readonly string[] | null | undefined

/** How owners are compared with callers: what all routes may have in common. */
export interface OwnershipDefaults {
  /**
   * What of the caller is compared with the owner, letter by letter: `'subject'`, `'id'` (issuer and subject), or a claim, such as
   * `{ claim: 'tenant' }`, of whose texts one must match. Default `'subject'`.
   */
  by?: 'subject' | 'id' | { readonly claim: ClaimPath }
  /**
   * Whose callers may own anything: the exact issuer, the name of a method whose callers have none (`'apiKey'`), or a list of them. Two
   * issuers may give one subject to two people, so `secureApi()` wants to hear it where it knows callers by several, unless `by` is `'id'`.
   * `'any'`: all of them, on your word. Default: whoever the one method of `auth` knows.
   */
  issuer?: string | readonly string[]
  /** Who gets in without being the owner: a rule in the words of `rbac`. Default: nobody. */
  unless?: Rule
  /**
   * What others than the owner hear: `'missing'` is 404 `not-found`, as for what does not exist, so that nobody can try out what exists;
   * `'forbidden'` is 403 `forbidden`. Default `'missing'`.
   */
  onForeign?: 'missing' | 'forbidden'
  /** How long `load` may take, in milliseconds. Default 1,000. Later: 503 `store-unavailable`. */
  timeoutMs?: number
}

/** Of what nobody knows the type of, any name may be a property. */
type PropertyOf<Resource> = object extends Resource ? string : keyof Resource & string

/** What one route or guard says. */
export interface OwnershipRule<Resource extends object = object> extends OwnershipDefaults {
  /**
   * Finds the object that the request names: at once or by a promise. `undefined` or `null`: 404 `not-found`. Required. What it throws is 500
   * `broken`, a store that is away 503 `store-unavailable`.
   */
  load: (facts: LoadFacts) => Loaded<Resource> | PromiseLike<Loaded<Resource>>
  /**
   * Whose the object is: the name of its property, or a function of it. A text, or a list of which one must match; anything else is nobody's.
   * Default: as the general setting says. Required where it says nothing.
   */
  owner?: PropertyOf<Resource> | OwnerOf<Resource>
}

/** What it takes alone. */
export interface OwnershipOptions<Resource extends object = object> extends OwnershipRule<Resource> {
  /** Whose the object is: the name of its property, or a function of it. A text, or a list of which one must match; anything else is nobody's. Required. */
  owner: PropertyOf<Resource> | OwnerOf<Resource>
}

export type Loaded<Resource> = Resource | null | undefined

/** The general setting: what routes need not say again; and, with `load`, a check for every route that is not public. */
export interface OwnershipSettings extends OwnershipDefaults {
  /** As on a route. Default: each route has its own. */
  load?: OwnershipRule['load']
  /** As on a route. Default: each route has its own. */
  owner?: OwnershipRule['owner'] & {}
}

/** The same, checked. */
export interface CompiledOwnership {
  readonly load: (facts: LoadFacts) => unknown
  readonly ownerOf: (resource: object) => unknown
  /** What an owner may be called to be this caller; `undefined` or anything but text is nobody. */
  readonly callerAs: (principal: Principal) => unknown
  readonly issuers: ReadonlySet<string> | undefined
  readonly unless: CompiledRule | undefined
  readonly isHidden: boolean
  readonly timeoutMs: number
  readonly paramsOf: ParamsOf
  /** What to say where callers may come from several issuers; `undefined` where that is provided for. */
  readonly oneIssuer: string | undefined
  readonly described: Readonly<Record<string, unknown>>
}

export const DEFAULTS_KEYS = ['by', 'issuer', 'unless', 'onForeign', 'timeoutMs'] as const
export const OWNERSHIP_KEYS = ['load', 'owner', ...DEFAULTS_KEYS] as const
/** None may be there and `undefined`: it would be less than was meant. */
export const OWNERSHIP_PROTECTING = ['load', 'owner', 'by', 'issuer', 'unless', 'onForeign']

export interface OwnershipPlace {
  readonly option: string
  readonly catalogue: CompiledCatalogue
  readonly paramsOf: ParamsOf
  /** Whether callers may be known by more than one authority. */
  readonly severalIssuers: boolean
}

/** @throws ConfigError naming option, rule, value and fix */
export function compileOwnership(
  { load, owner, ...defaults }: OwnershipSettings,
  place: OwnershipPlace,
): CompiledOwnership {
  const { option, paramsOf } = place
  const compared = compileDefaults(defaults, place)
  const { by = 'subject' } = defaults
  const oneIssuer =
    by === 'id' || defaults.issuer !== undefined
      ? undefined
      : `${option}.issuer is missing: callers may come from several issuers, and two of them may know two people by one subject or claim. ` +
        `Write whose callers are owners, such as issuer: 'https://id.example.com', or by: 'id' if owners are kept as issuer and subject, or issuer: 'any'`
  if (place.severalIssuers && oneIssuer !== undefined) throw new ConfigError(oneIssuer, 'ownership-issuer')
  return {
    ...compared,
    load: func(`${option}.load`, load as CompiledOwnership['load']),
    ownerOf: ownerReader(`${option}.owner`, owner),
    paramsOf,
    oneIssuer,
    described: { owner: typeof owner === 'string' ? owner : 'a function', ...compared.described },
  }
}

/** What can be checked without knowing what is loaded. @throws ConfigError naming option, rule, value and fix */
export function compileDefaults(
  { by = 'subject', issuer, unless, onForeign = 'missing', timeoutMs = 1_000 }: OwnershipDefaults,
  { option, catalogue }: OwnershipPlace,
): Omit<CompiledOwnership, 'load' | 'ownerOf' | 'paramsOf' | 'oneIssuer'> {
  const issuers = issuer === undefined || issuer === 'any' ? undefined : issuerNames(option, issuer)
  const rule = unless === undefined ? undefined : compileRule(`${option}.unless`, unless, catalogue)
  return {
    callerAs: callerReader(`${option}.by`, by),
    issuers,
    unless: rule,
    isHidden: oneOf(`${option}.onForeign`, onForeign, ['missing', 'forbidden']) === 'missing',
    timeoutMs: integer(`${option}.timeoutMs`, timeoutMs, { max: 60_000 }),
    described: {
      by,
      ...(issuers !== undefined && { issuer: [...issuers] }),
      ...(rule !== undefined && { unless: rule.describe() }),
      onForeign,
      timeoutMs,
    },
  }
}

function issuerNames(option: string, issuer: unknown): ReadonlySet<string> {
  const names: readonly unknown[] = Array.isArray(issuer) ? issuer : [issuer]
  const odd = names.find((name) => typeof name !== 'string' || name === '' || name === 'any')
  if (names.length > 0 && odd === undefined) return new Set(names as string[])
  throw new ConfigError(
    `${option}.issuer must be the issuer of owners, a list of them, or 'any', got ${show(names.length === 0 ? issuer : odd)}`,
  )
}

function callerReader(option: string, by: unknown): CompiledOwnership['callerAs'] {
  if (by === 'subject') return ({ subject }) => subject
  if (by === 'id') return ({ id }) => id
  if (typeof by !== 'object' || by === null || Array.isArray(by))
    throw new ConfigError(`${option} must be 'subject', 'id' or { claim: 'tenant' }, got ${show(by)}`)
  knownKeys(option, by, ['claim'], ['claim'])
  const read = claimReader(`${option}.claim`, (by as { claim: ClaimPath }).claim)
  return ({ claims }) => read(claims)
}

function ownerReader(option: string, owner: unknown): CompiledOwnership['ownerOf'] {
  if (typeof owner === 'function') return owner as CompiledOwnership['ownerOf']
  if (typeof owner !== 'string' || owner === '')
    throw new ConfigError(
      `${option} must be the name of a property of what is loaded, or a function of it, got ${show(owner)}`,
    )
  if (owner in Object.prototype)
    throw new ConfigError(
      `${option} is ${quoted(owner)}, which every object has; name the property of the owner`,
    )
  // Of a class too, where an ORM has its getters; but not what somebody has put on all objects.
  return (resource) =>
    owner in Object.prototype && !Object.hasOwn(resource, owner)
      ? undefined
      : (resource as Record<string, unknown>)[owner]
}
