import { traceIdOf } from './trace-context.js'
import type { SecurityContext } from '../kernel/context.js'
import type { AuditEvent } from '../kernel/ports.js'
import { decisionFacts } from '../kernel/refusal.js'
import { EMPTY, ownMembers } from '../lib/polluted.js'

/** How much an event matters, from daily business to what should wake somebody. */
export type Severity = 'info' | 'low' | 'medium' | 'high'

/** When the path itself, which may carry what belongs to one person only, is put on record. */
export type PathPolicy = 'unmatched' | 'always' | 'never'

export interface EventSource {
  readonly service: string
  readonly path: PathPolicy
  /** A moment as ISO 8601 text. */
  timeOf(this: void, now: number): string
}

/** Writes down each millisecond once, however many events it brings. */
export function isoTimes(): (now: number) => string {
  let last = NaN
  let text = ''
  return (now) => {
    if (now !== last) {
      text = new Date(now).toISOString()
      last = now
    }
    return text
  }
}

const SEVERITIES: readonly unknown[] = ['info', 'low', 'medium', 'high'] satisfies Severity[]
/** Members of a stage's facts that have a place of their own in the event. Everything else goes under `facts`. */
const PLACED = ['outcome', 'stage', 'code', 'status', 'rule', 'reason', 'severity'] as const
const OWN_FACTS: ReadonlySet<string> = new Set(PLACED)

type Placed = { readonly [P in (typeof PLACED)[number]]?: unknown }

/** One event: who did what, where from, when, with which outcome, by which rule. No header, query or body ever enters it. */
export function eventOf(
  ctx: SecurityContext,
  kind: string,
  given: Readonly<Record<string, unknown>>,
  isEnd: boolean,
  { service, path, timeOf }: EventSource,
): AuditEvent {
  const facts = isPolluted(EMPTY) ? ownMembers(given) : given
  const { outcome, stage, code, status, rule, reason, severity } = facts as Placed
  const { principal, req, res, services, reported } = ctx
  const route = routeOf(ctx)

  return {
    kind,
    time: timeOf(services.clock.now()),
    // A word that is none of ours was meant to say something: better too loud than unheard.
    severity: SEVERITIES.includes(severity)
      ? severity
      : severity === undefined
        ? severityOf(kind, facts)
        : 'high',
    outcome,
    principal: principal?.id,
    authMethod: principal?.method,
    method: req.method,
    route,
    path: path === 'always' || (path === 'unmatched' && route === undefined) ? pathOf(ctx) : undefined,
    status: status ?? (res.headersSent ? res.statusCode : undefined),
    clientIp: ctx.clientIp,
    service,
    stage,
    code,
    rule,
    reason,
    requestId: ctx.id === '' ? undefined : ctx.id,
    traceId: ctx.traceparent === '' ? undefined : traceIdOf(ctx.traceparent),
    durationMs: Math.round((services.clock.monotonic() - ctx.startedAt) * 1000) / 1000,
    reported:
      reported !== undefined && isEnd
        ? reported.map((one) => `${one.stage}:${one.problem.code}`).join(',')
        : undefined,
    facts: others(facts),
  }
}

const SHORT = 256

/** Whether an event may wait: nothing of it can change any more, as objects that stages give could, and it holds nothing long. */
export function keeps(event: AuditEvent): boolean {
  for (const key in event) {
    const value = event[key]
    if (typeof value === 'string' ? value.length > SHORT : typeof value === 'object') return false
  }
  return true
}

/** Whether facts that lack a member would get it from `Object.prototype`. */
function isPolluted({ outcome, stage, code, status, rule, reason, severity }: Placed): boolean {
  return (
    outcome !== undefined ||
    stage !== undefined ||
    code !== undefined ||
    status !== undefined ||
    rule !== undefined ||
    reason !== undefined ||
    severity !== undefined
  )
}

/** How an exchange ended, as facts of its `request` event. A refusal is told here only where it came ahead of the stage. */
export function endOf({ problem, refusedBy, res }: SecurityContext): Readonly<Record<string, unknown>> {
  if (problem !== undefined) return decisionFacts(refusedBy, problem)
  if (!res.writableFinished || !res.headersSent) return { outcome: 'aborted' }
  return { outcome: res.statusCode >= 500 ? 'failed' : 'answered' }
}

function severityOf(kind: string, { outcome, code, status }: Placed): Severity {
  if (kind === 'undecided' || code === 'broken') return 'high'
  if (outcome === 'answered' || outcome === 'aborted') return 'info'
  if (outcome === 'reported' || (outcome === 'refused' && typeof status === 'number' && status < 500))
    return 'low'
  return 'medium'
}

/** In absolute form a target may carry a name and a password, and behind a fragment anything (RFC 9112 section 3.2). */
const ABSOLUTE = /^[a-z][a-z0-9+.-]*:\/\/[^/]*/i

function pathOf({ path }: SecurityContext): string {
  const fragment = path.indexOf('#')
  const target = fragment === -1 ? path : path.slice(0, fragment)
  return target.startsWith('/') ? target : target.replace(ABSOLUTE, '[absolute]')
}

/** The rule of `routes` that fits, or the template that Express matched; never the path with its values. */
function routeOf({ route, req }: SecurityContext): string | undefined {
  if (route !== undefined) return route
  const { baseUrl = '', route: matched } = req as { baseUrl?: string; route?: { path?: unknown } }
  return typeof matched?.path === 'string' ? baseUrl + matched.path : undefined
}

function others(facts: Readonly<Record<string, unknown>>): object | undefined {
  let rest: Record<string, unknown> | undefined
  for (const key in facts) {
    if (!OWN_FACTS.has(key) && Object.hasOwn(facts, key)) put((rest ??= {}), key, facts[key])
  }
  return rest
}

/** To assign to `__proto__` would be to give the record something to inherit from. */
function put(record: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') record[key] = value
  else Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true })
}
