import { csrfConflict } from './access/csrf-options.js'
import { csrf, type CsrfOptions } from './access/csrf.js'
import type { OwnResource } from './access/access-facts.js'
import type { OwnershipPlace } from './access/ownership-options.js'
import {
  ownershipDefault,
  ownershipWith,
  type OwnershipRule,
  type OwnershipSettings,
} from './access/ownership.js'
import { policyWith, type AccessPolicies, type PolicyOptions } from './access/policy.js'
import { rbacDefault, rbacRule, type RbacSettings } from './access/rbac.js'
import { body, tightenBody, unparsed, type BodyOptions } from './data/body.js'
import { maskValue } from './data/mask-value.js'
import { hasFields, maskWith, type MaskMap, type MaskSettings } from './data/mask.js'
import { validateDefault, validateWith, type ValidateOptions } from './data/validate.js'
import { authNarrowing } from './identity/auth-narrowing.js'
import { mergeAuth, type AuthNarrowing, type AuthSetting } from './identity/auth-options.js'
import { auth } from './identity/auth.js'
import { severalIssuers } from './identity/several-issuers.js'
import { mergeStepUp, stepUp, type StepUpOptions } from './identity/step-up.js'
import { resourceMetadataFor, type ResourceFacts } from './identity/resource-metadata.js'
import { membersOf } from './kernel/check.js'
import { ConfigError } from './kernel/config-error.js'
import { paramsReader } from './kernel/match.js'
import { parsePattern } from './kernel/route-pattern.js'
import type { ParamsOf } from './kernel/validated-params.js'
import {
  onDemand,
  standard,
  type GeneralSetting,
  type GuardSetting,
  type Place,
  type RouteSetting,
} from './kernel/row.js'
import { compileCatalogue, type CompiledCatalogue, type Rule } from './kernel/rule.js'
import { auditSettings } from './observe/audit-options.js'
import { auditMasking, type AuditOptions } from './observe/audit.js'
import { requestId, type RequestIdOptions } from './observe/request-id.js'
import { isLimitName, type Limit } from './traffic/limit.js'
import { nameAutomatically } from './traffic/automatic-name.js'
import { quota } from './traffic/quota.js'
import { rateLimit } from './traffic/rate-limit.js'
import { cors, type CorsOptions } from './transport/cors.js'
import { firewall, type FirewallOptions } from './transport/firewall.js'
import { headers, type HeadersOptions } from './transport/headers.js'

export type { InferInput, ValidateOptions } from './data/validate.js'

type Limits = Limit | readonly Limit[]

/**
 * The path of a request, top to bottom; the reply travels back bottom to top.
 * A row's key is its option in `secureApi()`, its comment is that option's documentation.
 */
export const order = {
  // -- arrive: cheap and anonymous, so that a flood costs almost nothing
  /** A correlation id and W3C trace context for every request. On by default. First, so that everything can name it. */
  requestId: standard<RequestIdOptions>({ general: (options) => requestId(options) }),
  /** One event for each request and each security decision. On by default, as JSON lines. Before whatever can refuse. */
  audit: standard<AuditOptions>({
    general: (options, place) => auditMasking({ options, hide: hidingFacts(options, place) }),
  }),
  /** Security response headers: HSTS, nosniff, CSP. On by default. Set first, so refusals carry them too. */
  headers: standard<HeadersOptions>({ general: (options) => headers(options) }),
  /** Which browser origins may call. Off by default: none. Answers preflights, before anybody is asked who they are. */
  cors: onDemand<CorsOptions>({ general: (options) => cors(options) }),
  /** Refuses request targets that two readers read in two ways, and unlisted methods. On by default: 400, 405. */
  firewall: standard<FirewallOptions>({ general: (options) => firewall(options), repeatable: true }),
  /** Requests per client and window. On by default. Before identity: a stolen token must not buy unlimited guesses. 429. */
  rateLimit: standard<Limits>({
    general: (limits) => rateLimit(limits),
    local: (limits, place) => rateLimit(named(limits, place, 'rateLimit')),
  }),

  // -- identity: who is calling
  /** Tells clients where tokens for this API come from (RFC 9728). Off by default. Before anybody is asked who they are. 405. */
  resourceMetadata: onDemand<ResourceFacts>({
    general: (facts, { settings }) => resourceMetadataFor(settings.auth as AuthSetting, facts),
  }),
  /** Ways to prove who you are, tried in turn: `[bearer({ issuer, audience })]`. Required; `false` asks nobody. 401. */
  auth: onDemand<AuthSetting, AuthNarrowing>({
    general: (setting) => auth(setting),
    merge: (general, narrowing) => mergeAuth(general, narrowing),
    repeatable: true,
    guard: (narrowing) => authNarrowing(narrowing),
    loosens: ({ optional }) => optional === true,
    tightening: (narrowing) => ({ ...narrowing, optional: false }),
    whenPublic: 'announce',
    inRoute: 'not-false',
  }),
  /** Keeps other sites from acting by the cookie or certificate of whoever visits them. On by default; judges nobody else. 403. */
  csrf: standard<CsrfOptions>({
    general: (options) => csrf(options),
    // What general settings say holds for it too, and both are asked.
    local: (own, place) =>
      csrf({
        ...(place.settings.csrf as object | undefined),
        ...Object.fromEntries(membersOf(optionOf(place, 'csrf'), own)),
      }),
    conflict: (general, own) => csrfConflict(general, own),
  }),
  /** Fresh or stronger authentication (RFC 9470): `{ acr, amr, maxAgeSeconds }`. Off by default; the stricter of two holds. 401. */
  stepUp: onDemand<StepUpOptions>({
    general: (options) => stepUp(options),
    merge: (general, own) => mergeStepUp(general, own),
    guard: (options) => stepUp(options),
    whenPublic: 'absent',
  }),

  // -- access: may they
  /** Roles, permissions and scopes. General: the catalogue, and a `default` rule. Route, guard: the rule. 403. */
  rbac: onDemand<RbacSettings, Rule>({
    general: (settings) => rbacDefault(settings),
    local: (rule, place) => rbacRule(rule, catalogueOf(place), optionOf(place, 'rbac')),
    whenPublic: 'absent',
  }),

  // -- traffic, now that the caller is known
  /** Requests per principal and window. Off by default. 429. */
  quota: onDemand<Limits>({
    general: (limits) => quota(limits),
    local: (limits, place) => quota(named(limits, place, 'quota')),
    whenPublic: 'absent',
  }),

  // -- body: read only now
  /** Reads JSON bodies within limits of size, depth and count. On by default. 400, 408, 413, 415. */
  body: standard<BodyOptions, BodyOptions | 'raw'>({
    general: (options) => body(options),
    merge: (general, own) => (own === 'raw' ? { ...general, parse: 'raw' } : tightenBody(general, own)),
    guard: false,
    loosens: (own) => own === 'raw' || own.parse === 'raw',
    tightening: (own) => (own === 'raw' ? undefined : unparsed(own)),
  }),
  /** Params, query, headers, cookies and body against JSON Schema or a Standard Schema. Off by default. 400, 415, 422. */
  validate: onDemand<ValidateOptions>({
    general: (options) => validateDefault(options),
    local: (options, place) => validateWith(place.settings.validate ?? {}, options, paramsOf(place)),
  }),

  // -- access, now that all of the request is known
  /** Only the owner gets at the object that a route names; it is loaded once, for policies and the handler too. Off by default. 404. */
  ownership: onDemand<OwnershipSettings, OwnershipRule>({
    general: (settings, place) => ownershipDefault(settings, ownershipPlace(place), () => ownResource(place)),
    local: (own, place) =>
      ownershipWith(place.settings.ownership || undefined, own, ownershipPlace(place), ownResource(place)),
    whenPublic: 'absent',
  }),
  /** Functions of caller, input, time and object, by name; all must allow. Off by default. 403. */
  policy: onDemand<AccessPolicies | PolicyOptions>({
    general: (setting, place) => policyWith(setting, 'policy', paramsOf(place), resourceBeside(place)),
    local: (setting, place) =>
      policyWith(setting, optionOf(place, 'policy'), paramsOf(place), resourceBeside(place)),
    whenPublic: 'absent',
  }),

  // -- reply
  /** Hides or shortens fields of replies, unless the caller may see them. The same map masks audit events. Off by default. */
  mask: onDemand<MaskMap | MaskSettings>({
    // Facts are masked by this map where they are recorded: also those of requests that do not come so far.
    general: (setting, place) => maskWith(setting, catalogueOf(place), { facts: false }),
    local: (setting, place) =>
      maskWith(setting, catalogueOf(place), {
        option: optionOf(place, 'mask'),
        general: place.settings.mask as MaskMap | MaskSettings | undefined,
      }),
  }),
}

/** One setting per row of the table: options, `true` for its defaults, `false` to leave it out. */
export type Protections = { [N in keyof typeof order]?: GeneralSetting<(typeof order)[N]> }
/** What one route adds, or takes away in writing. */
export type RouteProtections = { [N in keyof typeof order]?: RouteSetting<(typeof order)[N]> }
/** What a guard adds. */
export type GuardProtections = {
  [
    N in
      | 'auth'
      | 'stepUp'
      | 'rateLimit'
      | 'csrf'
      | 'rbac'
      | 'quota'
      | 'validate'
      | 'ownership'
      | 'policy'
      | 'mask'
  ]?: GuardSetting<(typeof order)[N]>
}

/** A limit that belongs to one route or guard is named after it, so that it counts beside the general one. */
function named(limits: Limits, place: Place, row: 'rateLimit' | 'quota'): Limits {
  const base = row === 'quota' ? `${place.name} quota` : place.name
  const list: unknown[] = Array.isArray(limits) ? limits : [limits]
  return list.map((limit, i) => {
    const option = optionOf(place, row)
    const given = Object.fromEntries(membersOf(option, limit)) as Limit
    const name = i === 0 ? base : `${base} ${i + 1}`
    if (given.name === undefined && !isLimitName(name)) {
      throw new ConfigError(
        `${option} needs a name: without one it is named after its route, which is too long for that or not printable ASCII. ` +
          `Write { name: 'orders', ... }`,
        'limit-name',
      )
    }
    return given.name === undefined ? nameAutomatically(given, name) : given
  })
}

/** What anybody puts on record as facts of their own is masked by the map that masks all replies. */
function hidingFacts(options: AuditOptions, { settings }: Place): ((facts: unknown) => unknown) | undefined {
  const setting = settings.mask as MaskMap | MaskSettings | false | undefined
  if (setting === undefined || setting === false) return undefined
  // What is wrong with the row itself is said first.
  auditSettings(options)

  const { fields, ...limits } = hasFields(setting) ? setting : { fields: setting }
  return maskValue(fields, { ...limits, anywhere: true })
}

/** Rules of every row are written in the words of one catalogue, so that a caller's grants are read once. */
function catalogueOf({ settings, shared }: Place): CompiledCatalogue {
  let compiled = shared.get('catalogue') as CompiledCatalogue | undefined
  if (compiled === undefined) {
    shared.set('catalogue', (compiled = compileCatalogue(settings.rbac || undefined)))
  }
  return compiled
}

/** What stands in `routes` decides before anybody has routed. */
function paramsOf({ door, name }: Place): ParamsOf {
  return door === 'route' ? paramsReader(parsePattern(name)) : 'handler'
}

function ownershipPlace(place: Place): OwnershipPlace {
  return {
    option: place.door === 'general' ? 'ownership' : optionOf(place, 'ownership'),
    catalogue: catalogueOf(place),
    paramsOf: paramsOf(place),
    severalIssuers: hasSeveralIssuers(place),
  }
}

/** Where the `ownership` of this place puts what it loads. */
function ownResource(place: Place): OwnResource {
  const own: OwnResource = { symbol: Symbol('ownership.own') }
  place.shared.set(resourceKey(place), own)
  return own
}

/** The same, for who stands beside it: rows are built in the order of the table. */
function resourceBeside(place: Place): OwnResource | undefined {
  return place.shared.get(resourceKey(place)) as OwnResource | undefined
}

function resourceKey({ door, name }: Place): string {
  return `resource of ${door} ${name}`
}

function hasSeveralIssuers({ settings, shared }: Place): boolean {
  let several = shared.get('several issuers') as boolean | undefined
  if (several === undefined) {
    several = severalIssuers(settings.auth as AuthSetting | false | undefined)
    shared.set('several issuers', several)
  }
  return several
}

function optionOf({ door, name }: Place, row: string): string {
  return door === 'route' ? `routes['${name}'].${row}` : `guard.${row}`
}
