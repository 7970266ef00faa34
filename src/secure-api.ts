import type { IncomingMessage, ServerResponse } from 'node:http'
import { checkApp } from './check-app.js'
import { integer, knownKeys, show } from './kernel/check.js'
import { prepare, run, type Pipeline } from './kernel/compile.js'
import { ConfigError } from './kernel/config-error.js'
import { openContext, originalUrl, pathOf, type SecurityContext } from './kernel/context.js'
import { errorAnswerer, failExchange, type ErrorMiddleware } from './kernel/errors.js'
import { closeAll, readyAll } from './kernel/lifecycle.js'
import { compileRoutes, paramsOf } from './kernel/match.js'
import { enforcementOf, modeOf, type Enforcement, type Mode } from './kernel/mode.js'
import { refuse } from './kernel/problem.js'
import { refuseReply } from './kernel/refusal.js'
import { addVeto, silenceHandler } from './kernel/reply.js'
import { routeParams } from './kernel/route-params.js'
import { matrix, type Catalogue, type RoleMatrix } from './kernel/rule.js'
import { createServices, SERVICE_OPTIONS, type ServiceOptions } from './kernel/services.js'
import type { Finding, Middleware, Next, Stage } from './kernel/stage.js'
import { isThenable } from './lib/when.js'
import {
  order,
  type GuardProtections,
  type InferInput,
  type Protections,
  type RouteProtections,
  type ValidateOptions,
} from './order.js'
import { Planner, type ExtraStage, type RouteRule, type Seat } from './plan.js'

/** What one route says: the same words as the general settings, added to them. */
export interface RouteSettings extends RouteProtections {
  /** Everybody may enter: credentials are not read. Fits only letter by letter. Default: only callers that `auth` knows. */
  public?: true
  /** Report or enforce on this route. Fits only letter by letter. Default: the general `mode`. */
  mode?: Mode
}

/** Settings of `secureApi()`: one key per protection, and what they share. */
export interface SecureApiOptions extends Protections, ServiceOptions {
  /** Ways to prove who you are, such as `[bearer({ issuer, audience })]`; `false` if nobody is asked. Required. */
  auth: Protections['auth'] & {}
  /** Exceptions that are known before the request is read: `{ 'GET /health': { public: true } }`. Written against the full path. Default: none. */
  routes?: Readonly<Record<string, RouteSettings>>
  /** Stages of your own: `[{ after: 'auth', stage: myStage() }]`. Default: none. */
  extra?: readonly ExtraStage[]
  /**
   * `true`: `check(app)` throws for a route without an access decision, and a GET or HEAD that is answered without one
   * becomes 500 `undecided`. Default `false`: such answers are put on record.
   */
  strict?: boolean
  /** Enforce, or only report: for everything or by stage. Default `'enforce'`. Reported refusals are put on record. */
  mode?: Mode
  /** Keep what every stage decided, why, and in how many microseconds, on `req.security.trace`. Default `false`. */
  trace?: boolean
  /**
   * How long a handler may take to begin its answer, in milliseconds. Default 300 000; later: 504 `handler-timeout`.
   * `false` waits for ever.
   */
  handlerTimeoutMs?: number | false
}

/** One line of `explain()`. */
export interface ExplainedStage {
  readonly stage: string
  /** Where it comes from: the general settings, the route's rule, or `extra`. */
  readonly door: Seat['door']
  readonly mode: Enforcement
  /** Effective options, without secrets. */
  readonly options: unknown
}

/** A guard, which knows the types of what its Standard Schemas let through; a plain JSON Schema gives `unknown`. */
export type GuardMiddleware<V extends ValidateOptions> = (
  req: IncomingMessage & Omit<InferInput<V>, 'headers' | 'cookies'>,
  res: ServerResponse,
  next: Next,
) => void

type NoSchemas = Pick<ValidateOptions, 'unknown'>

/** A secured API: middleware, and what belongs to it. */
export interface SecureApi extends Middleware {
  /** The front door: `http.createServer(api.protect(app))` decides before the application sees the request. */
  protect(
    app: (req: IncomingMessage, res: ServerResponse) => unknown,
  ): (req: IncomingMessage, res: ServerResponse) => void
  /** More protection inline, before a handler: the same words, and only ever added. */
  guard<const V extends ValidateOptions = NoSchemas>(
    settings: GuardProtections & { validate?: V },
  ): GuardMiddleware<V>
  /** Express error middleware: answers what handlers throw without showing any of it. Mount it last. */
  errors(): ErrorMiddleware
  /** What deserves a second look in an Express app, by stable code, with cause and fix. */
  check(app: unknown): Finding[]
  /** The stages a request would meet, in order: `explain('POST /orders')`. Without a route: the general ones. */
  explain(route?: string): ExplainedStage[]
  /** Which role grants which permission. */
  roles(): RoleMatrix
  /** Resolves when keys are fetched and files are open. */
  ready(): Promise<void>
  /** Flushes and releases everything. */
  close(): Promise<void>
}

/** Stages made ready for one kind of request. */
interface Plan {
  readonly seats: readonly Seat[]
  readonly pipeline: Pipeline
  readonly enforcement: (stage: Stage) => Enforcement
  readonly route: string | undefined
  readonly rule: RouteRule | undefined
  /** The route's own mode, where it holds. */
  readonly mode: Mode | undefined
}

const OWN_OPTIONS = ['routes', 'extra', 'strict', 'mode', 'trace', 'handlerTimeoutMs']

/**
 * Builds the whole pipeline, once. Whatever is wrong with the options is thrown here, and not when a request comes.
 *
 * @throws ConfigError naming option, rule, value and fix
 * @example
 * const api = secureApi({ auth: [bearer({ issuer: 'https://id.example.com', audience: 'orders' })] })
 * app.use(api)
 */
export function secureApi(options: SecureApiOptions): SecureApi {
  const rows = Object.keys(order)
  knownKeys('secureApi', options, [...rows, ...OWN_OPTIONS, ...SERVICE_OPTIONS])
  if (((options as Partial<SecureApiOptions>).auth ?? undefined) === undefined) {
    throw new ConfigError(
      'secureApi needs auth. Write auth: [bearer({ issuer, audience })] to ask callers who they are, or auth: false if nobody is to be asked',
      'auth-missing',
    )
  }
  const {
    routes = {},
    extra = [],
    strict = false,
    mode,
    trace = false,
    handlerTimeoutMs = 300_000,
    ...rest
  } = options
  const generalMode = modeOf('mode', mode, rows)
  if (handlerTimeoutMs !== false) integer('handlerTimeoutMs', handlerTimeoutMs, { max: 2_147_483_647 })

  if (typeof (strict as unknown) !== 'boolean')
    throw new ConfigError(`strict must be true or false, got ${show(strict)}`)

  const services = createServices(pick(rest, SERVICE_OPTIONS))
  const planner = new Planner(order, pick(rest, rows), extra)
  const rules = Object.entries(routes).map(([pattern, setting]) => planner.route(pattern, { ...setting }))
  const match = compileRoutes(rules)
  const handlerWatch = watchHandler(handlerTimeoutMs)

  const planOf = (seats: readonly Seat[], rule?: RouteRule, routeMode?: Mode): Plan => {
    const enforcement = enforcementOf(generalMode, routeMode)
    const stages = [...seats.map(({ stage }) => stage), handlerWatch]
    return {
      seats,
      pipeline: prepare(stages, { enforcement, trace }),
      enforcement,
      route: rule?.pattern,
      rule,
      mode: routeMode,
    }
  }
  const everywhere = planOf(planner.exactly())
  const exact = new Map(rules.map((rule) => [rule, planOf(planner.exactly(rule), rule, rule.mode)]))
  // Which rules can fit together depends on paths yet unseen; the bound keeps a flood of odd paths from filling memory.
  const loose = new Map<string, Plan>(
    rules.map((rule) => [rule.pattern, planOf(planner.loosely([rule]), rule)]),
  )
  const MAX_LOOSE = rules.length + 1_000

  const loosePlan = (fits: readonly RouteRule[]): Plan => {
    const key = fits.map(({ pattern }) => pattern).join('\n')
    let plan = loose.get(key)
    if (plan === undefined) {
      plan = planOf(planner.loosely(fits), fits[0])
      if (loose.size < MAX_LOOSE) loose.set(key, plan)
    }
    return plan
  }

  const planFor = (method: string, original: string, routed: string): Plan => {
    const { exact: winner, fits } = match(method, pathOf(original))
    if (routed === original) {
      if (winner !== undefined) return exact.get(winner)!
      return fits.length === 0 ? everywhere : loosePlan(fits)
    }
    // Somebody rewrote the URL: whatever may be meant adds, and nothing takes away.
    const all = [...new Set([...fits, ...match(method, pathOf(routed)).fits])]
    return all.length === 0 ? everywhere : loosePlan(all)
  }

  /** The plan by which this instance let the request in. */
  const enter = (
    req: IncomingMessage,
    res: ServerResponse,
    next: (error: unknown, plan: Plan, ctx: SecurityContext) => void,
  ): void => {
    const ctx = openContext(req, res, services, true)
    const method = req.method ?? 'GET'
    const routed = routedUrl(req)
    const entered = ctx.entries.find(
      (entry) => entry.by === secured && entry.passed && entry.url === routed && entry.method === method,
    )
    if (entered !== undefined) return next(undefined, entered.plan as Plan, ctx)

    let plan: Plan
    try {
      plan = planFor(method, originalUrl(req), routed)
    } catch (cause) {
      return failExchange(ctx, cause)
    }
    const entry = { by: secured, url: routed, method, plan, passed: false }
    ctx.entries.push(entry)
    // Decided about another URL is not decided about this one.
    ctx.decided = false
    ctx.route = plan.route
    if (plan.rule !== undefined && plan.rule.additions.size > 0)
      ctx.set(routeParams, paramsOf(plan.rule, ctx.path))
    if (strict && (method === 'GET' || method === 'HEAD')) addVeto(ctx, undecided)
    run(plan.pipeline, ctx, (error) => {
      entry.passed = error === undefined
      next(error, plan, ctx)
    })
  }

  const secured: Middleware = (req, res, next) =>
    enter(req, res, (error) => (error === undefined ? next() : next(error)))

  const behindFrontDoor = new WeakSet()
  const guards: Stage[] = []
  const guard = (settings: GuardProtections): Middleware => {
    const seats = planner.guard(`guard ${guards.length + 1}`, { ...settings })
    const stages = seats.map(({ stage }) => stage)
    guards.push(...stages)
    const pipelines = new Map<Mode | undefined, Pipeline>()

    const guarded: Middleware = (req, res, next) =>
      enter(req, res, (error, { mode: routeMode, enforcement }, ctx) => {
        if (error !== undefined) return next(error)
        let pipeline = pipelines.get(routeMode)
        if (pipeline === undefined)
          pipelines.set(routeMode, (pipeline = prepare(stages, { enforcement, trace })))
        run(pipeline, ctx, next)
      })
    return Object.assign(guarded, { [GUARD]: { settings, by: secured } })
  }

  const allStages = (): Stage[] => [
    ...new Set(
      [everywhere, ...exact.values(), ...loose.values()].flatMap(({ seats }) =>
        seats.map(({ stage }) => stage),
      ),
    ),
    ...guards,
  ]

  return Object.assign(secured, {
    guard,
    protect: (app: (req: IncomingMessage, res: ServerResponse) => unknown) => {
      behindFrontDoor.add(app)
      return frontDoor(enter, app)
    },
    errors: () => errorAnswerer(services),
    check: (app: unknown) =>
      checkApp(app, {
        api: secured,
        guardMark: GUARD,
        settings: { ...options },
        rules,
        match,
        strict,
        stages: allStages(),
        isProtected: behindFrontDoor.has(app as object),
      }),
    explain: (route?: string) => {
      const plan = route === undefined ? everywhere : planNamed(route)
      return plan.seats.map(({ stage, door }) => ({
        stage: stage.name,
        door,
        mode: plan.enforcement(stage),
        options: stage.describe?.() ?? {},
      }))
    },
    roles: () => matrix((options.rbac || undefined) as Catalogue | undefined),
    ready: () => readyAll(allStages(), services),
    close: () => closeAll(allStages(), services),
  })

  function planNamed(route: string): Plan {
    const named = rules.find(({ pattern }) => pattern === route)
    if (named !== undefined) return exact.get(named)!
    const [method = '', path = '/'] = route.split(' ')
    return planFor(method, path, path)
  }
}

/** Marks a guard for `check()`; shared between copies of the package. */
export const GUARD = Symbol.for('secure-api.guard')

type Enter = (
  req: IncomingMessage,
  res: ServerResponse,
  next: (error: unknown, plan: Plan, ctx: SecurityContext) => void,
) => void

function frontDoor(enter: Enter, app: (req: IncomingMessage, res: ServerResponse) => unknown) {
  return (req: IncomingMessage, res: ServerResponse): void =>
    enter(req, res, (error, _plan, ctx) => {
      if (error !== undefined) return failExchange(ctx, error)
      try {
        const answer = app(req, res)
        if (isThenable(answer)) answer.then(undefined, (cause: unknown) => failExchange(ctx, cause))
      } catch (cause) {
        failExchange(ctx, cause)
      }
    })
}

/** Stands between the pipeline and the handler: a handler has a deadline, and an answer without a decision is noticed. */
function watchHandler(timeoutMs: number | false): Stage {
  const late = refuse('handler-timeout', {
    rule: 'handler-timeout',
    reason: 'the handler did not begin to answer in time',
  })
  return {
    name: 'handler',
    enter(ctx) {
      ctx.handling = true
      ctx.headersBefore ??= ctx.res.getHeaderNames()
      // Entered a second time: by another instance, or after a rewrite. One deadline is enough.
      ctx.cancelDeadline?.()
      if (timeoutMs === false) return
      ctx.cancelDeadline = ctx.services.clock.after(timeoutMs, () => {
        if (ctx.res.headersSent || ctx.res.destroyed || ctx.res.writableEnded) return
        silenceHandler(ctx)
        refuseReply(ctx, late)
      })
    },
    settle(ctx) {
      ctx.cancelDeadline?.()
      if (isUndecided(ctx) && ctx.problem === undefined && ctx.res.headersSent) {
        ctx.record('undecided', { severity: 'high' })
      }
    },
  }
}

/** Errors may be told to anybody; everything else needs a decision. A refusal that is only reported is one. */
function isUndecided({ handling, decided, reported, res }: SecurityContext): boolean {
  return handling && !decided && reported === undefined && res.statusCode < 400
}

function undecided(ctx: SecurityContext) {
  if (!isUndecided(ctx)) return undefined
  return refuse('undecided', {
    rule: 'strict',
    reason: 'answered without public, rbac or another access decision',
  })
}

/**
 * The URL as the application routes it. Mounting under a path shortens `req.url`, which is no reason to read it
 * differently; only a rewritten URL is.
 */
function routedUrl(req: IncomingMessage & { baseUrl?: string }): string {
  const original = originalUrl(req)
  const url = req.url ?? '/'
  if (url === original) return original
  // Without `baseUrl` (Connect), a mounted URL looks like a rewritten one, so it is treated as one.
  if (req.baseUrl === undefined) return url
  const routed = req.baseUrl + url
  const mountRoot = url.startsWith('/?') || url === '/' ? req.baseUrl + url.slice(1) : routed
  return routed === original || mountRoot === original ? original : routed
}

function pick(options: object, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).filter(([key, value]) => keys.includes(key) && value !== undefined),
  )
}
