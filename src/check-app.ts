import { walkApp, type AppWalk, type MountedRoute } from './app-routes.js'
import { ConfigError } from './kernel/config-error.js'
import type { Fit } from './kernel/match.js'
import type { Finding, Stage } from './kernel/stage.js'
import type { RouteRule } from './plan.js'

/** What the check needs to know about the API it checks for. */
export interface CheckedApi {
  readonly api: object
  readonly guardMark: symbol
  readonly settings: Readonly<Record<string, unknown>>
  readonly rules: readonly RouteRule[]
  readonly match: (method: string, path: string) => Fit<RouteRule>
  readonly strict: boolean
  readonly stages: readonly Stage[]
  /** The application stands behind the front door. */
  readonly isProtected: boolean
}

/** A guard's mark: which API made it, and what it adds. */
export interface GuardMark {
  readonly by: object
  readonly settings: Readonly<Record<string, unknown>>
}

const SEVERITIES = ['high', 'medium', 'low']
const BODY_METHODS = new Set(['POST', 'PUT', 'PATCH', '*'])

/**
 * What deserves a second look, the most severe first.
 *
 * @throws ConfigError in strict mode, if a route is answered without an access decision
 */
export function checkApp(app: unknown, checked: CheckedApi): Finding[] {
  const walk = walkApp(app)
  const findings = [
    ...settingFindings(checked),
    ...checked.stages.flatMap((stage) => stage.findings?.() ?? []),
    ...(walk === undefined
      ? [NO_ROUTES]
      : [...mountFindings(walk, checked), ...routeFindings(walk, checked)]),
  ]
  const undecided = findings.find(({ code }) => code === 'route-undecided')
  if (checked.strict && undecided !== undefined)
    throw new ConfigError(`${undecided.cause}. ${undecided.fix}`, undecided.code)
  return findings.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))
}

const NO_ROUTES: Finding = {
  code: 'routes-unknown',
  severity: 'low',
  cause: 'the application is no Express application, so its routes cannot be listed',
  fix: 'compare routes and guards with your handlers by hand',
}

function settingFindings({ settings, rules }: CheckedApi): Finding[] {
  const { auth, firewall, mode, headers } = settings
  const reportsAuth = mode === 'report' || (mode as Record<string, unknown> | undefined)?.auth === 'report'
  const found: (Finding | false)[] = [
    auth === false && {
      code: 'auth-off',
      severity: 'high',
      cause: 'auth is false: nobody is asked who they are',
      fix: 'write auth: [bearer({ issuer, audience })] if this API is not open to everybody',
    },
    reportsAuth && {
      code: 'auth-reported',
      severity: 'high',
      cause: 'auth only reports: callers without a valid credential get in as anonymous',
      fix: "write mode: { auth: 'enforce' } once the report is clean",
    },
    mode === 'report' && {
      code: 'report-mode',
      severity: 'medium',
      cause: 'refusals are only put on record',
      fix: "write mode: 'enforce' once the report is clean",
    },
    firewall === false && {
      code: 'firewall-off',
      severity: 'medium',
      cause: 'ambiguous paths reach the router, which may read them differently',
      fix: 'leave firewall on; public routes never fit such a path while it is off',
    },
    headers === false && {
      code: 'headers-off',
      severity: 'medium',
      cause: 'replies carry no security headers',
      fix: 'leave headers on, or set them where you do',
    },
  ]
  const reporting = rules
    .filter((rule) => rule.mode !== undefined)
    .map((rule): Finding => ({
      code: 'route-mode',
      severity: 'low',
      route: rule.pattern,
      cause: `${rule.pattern} has a mode of its own`,
      fix: 'drop it once it is no longer needed',
    }))
  return [...found.filter((finding) => finding !== false), ...reporting]
}

function mountFindings(
  { layers, routes, unknownMounts }: AppWalk,
  { api, isProtected, guardMark }: CheckedApi,
): Finding[] {
  const found: Finding[] = []
  const mounted = layers.findIndex(({ handle }) => handle === api)
  if (mounted === -1 && !isProtected) {
    found.push({
      code: 'api-not-mounted',
      severity: 'high',
      cause: 'the application neither uses the API as its own middleware nor stands behind its front door',
      fix: 'write app.use(api) before everything else, or http.createServer(api.protect(app))',
    })
  }
  if (mounted !== -1 && !isProtected) {
    for (const { method, path, position, handlers } of routes) {
      if (position > mounted || handlers.some((handler) => markOf(handler, guardMark) !== undefined)) continue
      found.push({
        code: 'route-before-api',
        severity: 'high',
        route: `${method} ${path ?? '(unknown)'}`,
        cause: `${method} ${path ?? 'a route'} is mounted before the API and answers without it`,
        fix: 'move app.use(api) to the top',
      })
    }
    for (const { name } of layers.slice(0, mounted)) {
      if (
        name !== 'jsonParser' &&
        name !== 'urlencodedParser' &&
        name !== 'rawParser' &&
        name !== 'textParser'
      )
        continue
      found.push({
        code: 'body-parsed-before',
        severity: 'medium',
        cause: `${name} reads bodies before the caller is known`,
        fix: 'drop it: the API reads JSON itself, after identity; mount other parsers behind it',
      })
    }
  }
  if (unknownMounts > 0) {
    found.push({
      code: 'mount-unknown',
      severity: 'low',
      cause: `${unknownMounts} mounted routers do not expose their path, so the routes in them were not checked`,
      fix: 'compare their routes by hand with your rules',
    })
  }
  return found
}

function routeFindings(walk: AppWalk, checked: CheckedApi): Finding[] {
  const found: Finding[] = []
  const met = new Set<RouteRule>()
  for (const mounted of walk.routes) {
    if (mounted.path === undefined) continue
    const route = `${mounted.method} ${mounted.path}`
    const rule = ruleFor(mounted, checked)
    for (const each of checked.rules) if (covers(each, mounted, checked)) met.add(each)
    const guards = mounted.handlers
      .map((handler) => markOf(handler, checked.guardMark))
      .filter((mark) => mark?.by === checked.api)

    if (rule === undefined && guards.length === 0) {
      found.push({
        code: 'route-without-rule',
        severity: 'medium',
        route,
        cause: `${route} has neither a rule in routes nor a guard; every authenticated caller may use it`,
        fix: `add '${route}' to routes, or api.guard({ ... }) before its handler`,
      })
    }
    if (!isDecided(rule, guards, checked.settings)) {
      found.push({
        code: 'route-undecided',
        severity: checked.strict ? 'high' : 'medium',
        route,
        cause: `${route} is answered without an access decision`,
        fix: "write public: true, an rbac rule, or rbac: 'authenticated'",
      })
    }
    if (BODY_METHODS.has(mounted.method) && guards.some((guard) => guard?.settings.rbac !== undefined)) {
      found.push({
        code: 'guard-after-body',
        severity: 'low',
        route,
        cause: `the guard of ${route} decides about access after the body was read`,
        fix: `write its rbac in routes['${route}'], which is decided before`,
      })
    }
    if (walk.express4 && mounted.handlers.some(isAsync)) {
      found.push({
        code: 'async-handler',
        severity: 'high',
        route,
        cause: `${route} has an async handler; Express 4 neither answers nor survives its rejection`,
        fix: 'wrap it in asyncHandler(...)',
      })
    }
  }
  if (walk.unknownMounts > 0) return found
  for (const rule of checked.rules) {
    if (met.has(rule)) continue
    found.push({
      code: 'rule-without-route',
      severity: 'medium',
      route: rule.pattern,
      cause: `the rule '${rule.pattern}' fits no mounted route`,
      fix: 'correct its method or path, or drop it',
    })
  }
  return found
}

/** A path that stands for all that the route serves: names and rests become a text that no rule has. */
function sampleOf(path: string): string {
  return path
    .split('/')
    .map((segment) => (/^[:*({]/.test(segment) ? 'x-sample-x' : segment))
    .join('/')
}

function ruleFor({ method, path }: MountedRoute, { match }: CheckedApi): RouteRule | undefined {
  return match(method === '*' ? 'GET' : method, sampleOf(path!)).fits[0]
}

/** A rule for one value of a named segment (`/orders/new`) belongs to the route that would serve it (`/orders/:id`). */
function covers(rule: RouteRule, { method, path }: MountedRoute, checked: CheckedApi): boolean {
  if (rule.method !== '*' && method !== '*' && rule.method !== method) return false
  if (
    ruleFor(
      { method: rule.method === '*' ? method : rule.method, path, handlers: [], position: 0 },
      checked,
    ) === rule
  )
    return true
  const wanted = path!.split('/').filter(Boolean)
  const rest = rule.segments.at(-1) === '*'
  if (rest ? wanted.length < rule.segments.length - 1 : wanted.length !== rule.segments.length) return false
  return rule.segments.every(
    (segment, i) =>
      segment === '*' ||
      /^[:*{]/.test(segment) ||
      /^[:*{]/.test(wanted[i] ?? '') ||
      segment.toLowerCase() === wanted[i]?.toLowerCase(),
  )
}

function isDecided(
  rule: RouteRule | undefined,
  guards: readonly (GuardMark | undefined)[],
  settings: CheckedApi['settings'],
): boolean {
  if (rule?.isPublic === true || rule?.setting.rbac !== undefined) return rule.setting.rbac !== false
  if (guards.some((guard) => guard?.settings.rbac !== undefined)) return true
  return (settings.rbac as { default?: unknown } | undefined)?.default !== undefined
}

function markOf(handler: unknown, mark: symbol): GuardMark | undefined {
  return (handler as Record<symbol, GuardMark | undefined>)[mark]
}

function isAsync(handler: unknown): boolean {
  return typeof handler === 'function' && handler.constructor.name === 'AsyncFunction'
}
