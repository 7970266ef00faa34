import type { Finding } from '../kernel/stage.js'
import type { RouteRule } from '../route-rule.js'
import { shown, type AppWalk, type Layer } from './app-walk.js'
import type { CheckedApi } from './checked-api.js'
import { casesOf, casesOfRules, decides, isDecided, isPublic, type Case } from './decisions.js'
import { markOf, type GuardMark } from './guard-mark.js'
import { isAsync, isErrorHandler, mayAnswer, mustAnswer } from './handlers.js'
import { isInFront, overlap } from './in-front.js'
import { sensitiveFindings } from './sensitive.js'
import { standingOf, type Standing } from './standing.js'

const BODY_METHODS = new Set(['POST', 'PUT', 'PATCH', '*'])

/** What is to be said about each route, and about each handler that is mounted like one. */
export function routeFindings(walk: AppWalk, checked: CheckedApi): Finding[] {
  const { api, isProtected, plans } = checked
  const marked = walk.layers.filter(
    ({ kind, handlers }) => kind === 'function' && markOf(handlers[0]) !== undefined,
  )
  const isMounted = isEnteredSomewhere(walk, api)
  const found: Finding[] = []

  for (const layer of walk.layers) {
    const standing = standingOf(layer, marked, api)
    const route = `${layer.method} ${layer.path}`
    if (walk.express4 && layer.handlers.some(isAsync)) found.push(asyncHandler(route))
    if (layer.kind === 'route') found.push(...guardFindings(route, layer, standing, isProtected))
    if (!isJudged(layer) || standing.answering.length === 0) continue

    const isEntered = standing.isEntered || isProtected || !isMounted
    if (!isEntered) {
      // What another API lets in is for the other one to judge.
      if (markOf(layer.handlers[0]) !== undefined || marked.some((each) => isInFront(each, layer))) continue
      // A guard that is late is named already.
      if (!standing.isGuardLate) found.push(isHandler(layer) ? unprotected(route) : unknown(route, layer))
      continue
    }
    const cases = casesOf(layer.method, layer.segments, plans)
    found.push(
      ...cases
        .filter(({ plan }) => isPublic(plan) && standing.guards.some(({ settings }) => asksCaller(settings)))
        .map(({ label }) => guardOnPublic(label)),
      ...sensitiveFindings(cases, standing.guards),
    )
    const undecided = cases.filter(({ plan }) => !isDecided(plan, standing.guards))
    if (!isHandler(layer) || !isReadable(layer)) {
      if (undecided.length > 0) found.push(unknown(route, layer))
      continue
    }
    const hasGuard = standing.guards.some((mark) => mark.settings !== undefined)
    found.push(
      ...cases.filter(({ plan }) => plan.rules.length === 0 && !hasGuard).map(withoutRule),
      ...undecided.map(({ label }) => withoutDecision(label)),
    )
  }
  const idle = idleRules(walk, checked)
  return distinct([...found, ...idle.map(withoutRoute), ...behindAll(walk, checked, marked, idle)])
}

/**
 * A handler without a path, such as a proxy, has no requests of its own: what no route fits may be answered there. Of those that take
 * `next` it is the last one, and others only pass on.
 */
function behindAll(
  { layers }: AppWalk,
  { api, isProtected, plans }: CheckedApi,
  marked: readonly Layer[],
  idle: readonly RouteRule[],
): Finding[] {
  const bare = layers.filter(
    (layer) => !isJudged(layer) && markOf(layer.handlers[0]) === undefined && mayAnswer(layer.handlers[0]),
  )
  return bare
    .filter((layer) => mustAnswer(layer.handlers[0]) || layer === bare.at(-1))
    .flatMap((layer) => {
      const { isEntered, guards } = standingOf(layer, marked, api)
      if (!isEntered && !isProtected) return []
      const fitting = idle.filter(({ segments }) => overlap(segments, layer.segments))
      return sensitiveFindings(casesOfRules(fitting, plans), guards)
    })
}

/** Whether requests get into the API in any place at all. */
export function isEnteredSomewhere({ layers }: AppWalk, api: object): boolean {
  return layers.some(({ handlers }) => handlers.some((handler) => markOf(handler)?.by === api))
}

/** Middleware is mounted without a path, or only answers errors. What is mounted under one may as well be a handler. */
function isJudged({ kind, steps, name, handlers }: Layer): boolean {
  if (kind !== 'function') return true
  return name === 'serveStatic' || (steps.at(-1)?.path?.segments.length !== 0 && !isErrorHandler(handlers[0]))
}

/** Whether it is known to answer, and not only to stand where a handler may stand. */
const isHandler = ({ kind, handlers }: Layer): boolean =>
  kind === 'route' || (kind === 'function' && mustAnswer(handlers[0]))

/** Whether it is known what it is asked. */
const isReadable = ({ steps }: Layer): boolean => steps.every(({ path }) => path !== undefined)

function guardFindings(route: string, layer: Layer, standing: Standing, isProtected: boolean): Finding[] {
  const found: Finding[] = []
  const isEntered = standing.isEntered || isProtected
  if (standing.isGuardUseless || standing.isGuardLate) {
    found.push({
      code: 'guard-behind-handler',
      severity: standing.isGuardUseless || !isEntered ? 'high' : 'low',
      route,
      cause: `a handler of ${route} stands in front of its guard and runs without it`,
      fix: 'write the guard first',
    })
  }
  const own = standing.guards.filter((mark) => mark.settings !== undefined)
  if (standing.answering.length === 0) return found
  if (BODY_METHODS.has(layer.method) && own.some(({ settings }) => settings?.rbac !== undefined)) {
    found.push({
      code: 'guard-after-body',
      severity: 'low',
      route,
      cause: `the guard of ${route} decides about access after the body was read`,
      fix: `write its rbac in routes['${route}'], which is decided before`,
    })
  }
  if (new Set(own).size < own.length) {
    found.push({
      code: 'guard-repeated',
      severity: 'low',
      route,
      cause: `the same guard stands twice before ${route}, and decides twice`,
      fix: 'mount it once',
    })
  }
  return found
}

function idleRules({ layers }: AppWalk, { plans }: CheckedApi): RouteRule[] {
  return plans.rules.filter(
    (rule) =>
      !layers.some(
        (layer) =>
          isJudged(layer) && sameMethod(rule.method, layer.method) && overlap(rule.segments, layer.segments),
      ),
  )
}

function withoutRoute({ pattern }: RouteRule): Finding {
  return {
    code: 'rule-without-route',
    severity: 'medium',
    route: pattern,
    cause: `the rule '${pattern}' fits no mounted route`,
    fix: 'correct its method or path, or drop it',
  }
}

function sameMethod(ruled: string, mounted: string): boolean {
  return ruled === '*' || mounted === '*' || ruled === (mounted === 'HEAD' ? 'GET' : mounted)
}

function unprotected(route: string): Finding {
  return {
    code: 'route-unprotected',
    severity: 'high',
    route,
    cause: `${route} answers without the API, which is mounted behind it, beside it, or under a narrower path`,
    fix: 'write app.use(api) before everything else, or serve the application behind api.protect(app)',
  }
}

function withoutRule({ label }: Case): Finding {
  // No rule may name HEAD, which takes that of GET, or OPTIONS, which takes only those for all methods.
  const pattern = label.replace(/^HEAD /, 'GET ').replace(/^OPTIONS /, '* ')
  return {
    code: 'route-without-rule',
    severity: 'medium',
    route: label,
    cause: `${label} has neither a rule in routes nor a guard; every authenticated caller may use it`,
    fix: `add '${pattern}' to routes, or api.guard({ ... }) before its handler`,
  }
}

function withoutDecision(route: string): Finding {
  return {
    code: 'route-undecided',
    severity: 'medium',
    route,
    cause: `${route} is answered without an access decision`,
    fix: "write public: true, an rbac rule, or rbac: 'authenticated'",
  }
}

function unknown(route: string, { kind, name, segments, steps }: Layer): Finding {
  const rule = `'* ${shown(segments)}'`
  if (kind === 'route' && steps.at(-1)!.path === undefined) {
    return {
      code: 'route-unreadable',
      severity: 'medium',
      route,
      cause: `which requests ${route} answers cannot be read from its path, and not all of them are decided`,
      fix: `write its path as text, put api.guard({ rbac: ... }) before its handler, or decide in ${rule}`,
    }
  }
  return {
    code: 'mount-unknown',
    severity: 'medium',
    route,
    cause: `${name === '' ? '' : `${name}, `}mounted as ${route}, may answer requests that are not decided`,
    fix: `mount it behind the API and decide in ${rule}; use express.Router() in place of an application, and a path of plain text`,
  }
}

/** What asks something of a caller whom nobody has asked who it is. */
function asksCaller(settings: GuardMark['settings']): boolean {
  return decides(settings) || settings?.stepUp !== undefined
}

function guardOnPublic(route: string): Finding {
  return {
    code: 'guard-on-public',
    severity: 'high',
    route,
    cause: `${route} is public, so nobody is asked who they are, and its guard lets only known callers pass: all are refused`,
    fix: `drop public: true for ${route}, or what its guard asks of them`,
  }
}

function asyncHandler(route: string): Finding {
  return {
    code: 'async-handler',
    severity: 'high',
    route,
    cause: `${route} has an async handler; Express 4 neither answers nor survives its rejection`,
    fix: 'wrap it in asyncHandler(...)',
  }
}

function distinct(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [`${finding.code} ${finding.route ?? ''}`, finding])).values()]
}
