import { didYouMean, integer, knownKeys, oneOf, quoted, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { SecurityContext } from '../kernel/context.js'
import type { Algorithm, Policy } from '../kernel/ports.js'
import { isStrayPromise } from '../lib/when.js'
import { hasOwnName, numbered } from './automatic-name.js'

/** One limit of `rateLimit` or `quota`. */
export interface Limit {
  /**
   * Names the limit in the `RateLimit` header fields and in audit events, and keeps its counts apart from others'.
   * Printable ASCII without `"` and `\`, unique within an API or pipeline. In a shared store, limits of one name, `windowMs` and
   * `algorithm` are one limit, in whatever process or API. Default `'default'`; for `quota` `'quota'`; on a route the route. These only show:
   * limits that nobody named are counted apart by their settings, and equal ones by the order in which a process makes them.
   */
  name?: string
  /** Units (requests, unless `cost` says otherwise) that one caller may take per window, at most 10^15. Default 100. More: 429. */
  limit?: number
  /** Length of a window, in milliseconds, at most 366 days. Default 60,000. */
  windowMs?: number
  /**
   * How to count. `'fixed'` (default): a window opens with the first request. `'sliding'`: the window before fades out.
   * `'gcra'`: units come back one by one. What a refused request asked for is never taken, under any of them.
   */
  algorithm?: Algorithm
  /**
   * Units that a request takes; a function is asked on each request, and fractions are rounded up. Default 1. No number
   * may be above `limit`; where a function gives one, the request is refused 429 without `Retry-After`, as no waiting would help. A
   * result that is no finite number of at least 0, or a function that throws, is a fault of the application: 500 `broken`.
   */
  cost?: number | ((ctx: SecurityContext) => number)
  /**
   * Whom to count; `undefined` leaves the request uncounted. Default: the client's address, IPv6 by its /56; for `quota`
   * the principal, or else the address. A result that is neither a string nor `undefined`: 500 `broken`.
   */
  key?: (ctx: SecurityContext) => string | undefined
  /**
   * What happens while a shared store cannot be asked. `'local'` (default): this process counts for itself.
   * `'closed'`: 503 `store-unavailable` with `Retry-After`. `'open'`: requests pass uncounted, which is put on record.
   */
  whenStoreFails?: 'closed' | 'open' | 'local'
  /**
   * How the limit is announced on every reply. `'draft-11'` (default): `RateLimit` and `RateLimit-Policy` of
   * draft-ietf-httpapi-ratelimit-headers-11. `'draft-6'`: `RateLimit-Limit`, `-Remaining`, `-Reset` and `-Policy`.
   * `'legacy'`: `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds since 1970). `false`: not at all.
   */
  headers?: HeaderStyle
  /**
   * `type` of the 429 problem. `'own'` (default): that of this package. `'iana'`: the registered type `quota-exceeded`,
   * with its member `violated-policies` that lists the names of the limits exceeded.
   */
  problemType?: 'own' | 'iana'
}

export type HeaderStyle = 'draft-11' | 'draft-6' | 'legacy' | false
export type WhenStoreFails = 'closed' | 'open' | 'local'

/** A limit, checked and completed. */
export interface CheckedLimit {
  /** As clients and operators see it. */
  readonly name: string
  /** As stores see it: without a name of its own, a limit has one there that no other has. */
  readonly policy: Policy
  readonly cost: number | ((ctx: SecurityContext) => number)
  readonly key: (ctx: SecurityContext) => string | undefined
  readonly ownKey: boolean
  readonly whenStoreFails: WhenStoreFails
  readonly headers: HeaderStyle
  readonly problemType: 'own' | 'iana'
}

/** What `rateLimit` and `quota` differ in. */
export interface Scope {
  readonly stage: string
  readonly name: string
  readonly key: (ctx: SecurityContext) => string
}

/** Sums of units must stay exact. */
const MAX_LIMIT = 1e15
/** A year and a day. */
const MAX_WINDOW_MS = 366 * 86_400_000

const OPTIONS = [
  'name',
  'limit',
  'windowMs',
  'algorithm',
  'cost',
  'key',
  'whenStoreFails',
  'headers',
  'problemType',
]
const ALGORITHMS: readonly Algorithm[] = ['fixed', 'sliding', 'gcra']
const FAILURES: readonly WhenStoreFails[] = ['closed', 'open', 'local']
const STYLES: readonly string[] = ['draft-11', 'draft-6', 'legacy']

/** @throws ConfigError that names the limit, the option, the rule and the value */
export function checkLimits(limits: Limit | readonly Limit[], scope: Scope): readonly CheckedLimit[] {
  const list = Array.isArray(limits) ? (limits as readonly Limit[]) : [limits as Limit]
  if (list.length === 0) {
    throw new ConfigError(`${scope.stage} must have at least one limit; leave it out or write false for none`)
  }
  const checked = list.map((limit, index) =>
    checkLimit(limit, Array.isArray(limits) ? `${scope.stage}[${index}]` : scope.stage, scope),
  )
  const names = checked.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) {
    throw new ConfigError(
      `${scope.stage} has two limits named ${quoted(twice)}; give each a name of its own`,
      'duplicate-limit',
    )
  }
  const styles = new Set(checked.map(({ headers }) => headers).filter((style) => style !== false))
  if (styles.size > 1) {
    throw new ConfigError(
      `${scope.stage}: headers must be the same for all limits, or false, got ${[...styles].map(quoted).join(' and ')}`,
    )
  }
  return checked
}

function checkLimit(options: Limit, option: string, scope: Scope): CheckedLimit {
  knownKeys(option, options, OPTIONS)
  const {
    name = scope.name,
    limit = 100,
    windowMs = 60_000,
    algorithm = 'fixed',
    cost = 1,
    key,
    whenStoreFails = 'local',
    headers = 'draft-11',
    problemType = 'own',
  } = options

  if (!isLimitName(name)) {
    throw new ConfigError(
      `${option}.name must be 1 to 100 printable ASCII characters without " and \\, got ${show(name)}`,
    )
  }
  if (key !== undefined && typeof key !== 'function') {
    throw new ConfigError(`${option}.key must be a function of the context, got ${show(key)}`)
  }
  if (headers !== false && !STYLES.includes(headers)) {
    throw new ConfigError(
      `${option}.headers must be 'draft-11', 'draft-6', 'legacy' or false, got ${show(headers, STYLES)}${didYouMean(headers, STYLES)}`,
    )
  }

  const policy: Policy = {
    scope: scope.stage,
    name,
    limit: integer(`${option}.limit`, limit, { max: MAX_LIMIT }),
    windowMs: integer(`${option}.windowMs`, windowMs, { max: MAX_WINDOW_MS }),
    algorithm: oneOf(`${option}.algorithm`, algorithm, ALGORITHMS),
  }
  return {
    name,
    policy: hasOwnName(options) ? policy : numbered(policy),
    cost: typeof cost === 'function' ? cost : fixedCost(`${option}.cost`, cost, limit),
    key: key ?? scope.key,
    ownKey: key !== undefined,
    whenStoreFails: oneOf(`${option}.whenStoreFails`, whenStoreFails, FAILURES),
    headers,
    problemType: oneOf(`${option}.problemType`, problemType, ['own', 'iana']),
  }
}

/** It stands in header fields, and in the keys of shared stores. */
export function isLimitName(name: unknown): boolean {
  return typeof name === 'string' && /^[ !#-[\]-~]{1,100}$/.test(name)
}

function fixedCost(option: string, cost: unknown, limit: number): number {
  if (typeof cost === 'number' && Number.isFinite(cost) && cost > 0) {
    if (wholeUnits(cost) <= limit) return wholeUnits(cost)
    throw new ConfigError(
      `${option} is ${cost}, and the limit ${limit}: no request could ever pass. Raise limit, or lower cost`,
    )
  }
  throw new ConfigError(`${option} must be a number above 0, or a function of the context, got ${show(cost)}`)
}

/** Beyond any limit it makes no difference how far. */
function wholeUnits(cost: number): number {
  return Math.min(Math.ceil(cost), Number.MAX_SAFE_INTEGER)
}

/** What this request takes. @throws TypeError if the application's function gives no usable number */
export function costOf({ cost, name, policy }: CheckedLimit, ctx: SecurityContext): number {
  if (typeof cost === 'number') return cost
  const units: unknown = cost(ctx)
  if (typeof units === 'number' && units >= 0 && units !== Infinity) return wholeUnits(units)
  throw new TypeError(
    `${policy.scope} "${name}": cost must be a finite number of at least 0, got ${told(units)}`,
  )
}

/** Who is counted. @throws TypeError if the application's function gives something else than a string or `undefined` */
export function keyOf({ key, name, policy }: CheckedLimit, ctx: SecurityContext): string | undefined {
  const who: unknown = key(ctx)
  if (typeof who === 'string' || who === undefined) return who
  throw new TypeError(
    `${policy.scope} "${name}": key must be a string or undefined, got ${isStrayPromise(who) ? 'a promise' : typeof who}`,
  )
}

function told(units: unknown): string {
  return isStrayPromise(units) ? 'a promise' : show(units)
}
