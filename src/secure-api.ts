import type { IncomingMessage, ServerResponse } from 'node:http'
import { checkApp } from './check-app.js'
import { GUARD } from './check/guard-mark.js'
import { entrance, frontDoor, type Handler } from './entrance.js'
import { guardOf } from './guard.js'
import { watchHandler } from './handler-watch.js'
import { boolean, func, integer, knownKeys, membersOf } from './kernel/check.js'
import { ConfigError } from './kernel/config-error.js'
import { errorAnswerer, type ErrorMiddleware } from './kernel/errors.js'
import { closeAll, readyAll } from './kernel/lifecycle.js'
import { modeOf, type Enforcement, type Mode } from './kernel/mode.js'
import { matrix, type Catalogue, type RoleMatrix } from './kernel/rule.js'
import { forward } from './kernel/respond.js'
import { createServices, SERVICE_OPTIONS, type ServiceOptions, type Services } from './kernel/services.js'
import type { Finding, Middleware, Next, Stage } from './kernel/stage.js'
import {
  order,
  type GuardProtections,
  type InferInput,
  type Protections,
  type RouteProtections,
  type ValidateOptions,
} from './order.js'
import type { ExtraStage } from './general-plan.js'
import { Planner } from './plan.js'
import { Plans } from './plans.js'
import type { Seat } from './seat.js'

/** What one route says: the same words as the general settings, added to them. */
export interface RouteSettings extends RouteProtections {
  /**
   * Everybody may enter: credentials are not read. Holds only letter by letter, and where all other rules that fit are wider.
   * Default: only callers that `auth` knows.
   */
  public?: true
  /**
   * Not everybody who may is to do it without fresh or stronger authentication: `check(app)` finds where no `stepUp` asks for it, and
   * with `strict` throws. Refuses nobody by itself. Holds for all that fits the rule, whatever narrower rules say. Default: it is not.
   */
  sensitive?: true
  /** Report or enforce on this route. Reporting holds only as `public` does. Default: the general `mode`. */
  mode?: Mode
}

/** What a guard says: what it adds, and what `check` is to know of it. */
export type GuardSettings = GuardProtections & {
  /** As in `routes`: `check(app)` finds where no `stepUp` asks for fresh or stronger authentication. Default: it is not. */
  sensitive?: true
}

/** Settings of `secureApi()`: one key per protection, and what they share. */
export interface SecureApiOptions extends Protections, ServiceOptions {
  /** Ways to prove who you are, such as `[bearer({ issuer, audience })]`; `false` if nobody is asked. Required. */
  auth: Protections['auth'] & {}
  /**
   * Rules that are known before the request is read: `{ 'GET /health': { public: true } }`. Written against the full path; all
   * that fit a request apply together. Default: none.
   */
  routes?: Readonly<Record<string, RouteSettings>>
  /** Stages of your own: `[{ after: 'auth', stage: myStage() }]`. Default: none. */
  extra?: readonly ExtraStage[]
  /**
   * `true`: `check(app)` throws for what may be answered without an access decision, or is `sensitive` without `stepUp`, and a GET or HEAD that is answered
   * without one becomes 500 `undecided`. Default `false`: such answers are put on record.
   */
  strict?: boolean
  /** Enforce, or only report: for everything or by stage. Default `'enforce'`. Reported refusals are put on record. */
  mode?: Mode
  /** Keep what every stage decided, why, and in how many microseconds, on `req.security.trace`. Default `false`. */
  trace?: boolean
  /**
   * Let `getSecurity()` find the context of the request that is being served, for code that is not given the request. Default
   * `false`, because it costs every request something.
   */
  asyncContext?: boolean
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
  /**
   * The front door: `http.createServer(api.protect(app))` decides before the application sees the request.
   *
   * @throws ConfigError for what is no function, and with `respond: forward`: the application's error handlers are behind this door
   */
  protect(app: Handler): (req: IncomingMessage, res: ServerResponse) => void
  /** More protection inline, before a handler: the same words, and only ever added. */
  guard<const V extends ValidateOptions = NoSchemas>(
    settings: GuardSettings & { validate?: V },
  ): GuardMiddleware<V>
  /** Express error middleware: answers what handlers throw without showing any of it. Mount it last. */
  errors(): ErrorMiddleware
  /** What deserves a second look in an Express app, by stable code, with cause and fix. */
  check(app: unknown): Finding[]
  /**
   * The stages a request would meet, in order: `explain('POST /orders')`, or a guard would add: `explain(guard)`. For a rule of
   * `routes`, those where only it and wider rules fit. Without either: the general ones.
   *
   * @throws ConfigError for what is neither a rule of `routes`, a method and a path, nor a guard of this API
   */
  explain(subject?: string | Middleware | GuardMiddleware<never>): ExplainedStage[]
  /** Which role grants which permission. */
  roles(): RoleMatrix
  /** Resolves when keys are fetched, files are open, and what reads bodies and paths runs at full speed. */
  ready(): Promise<void>
  /** Flushes and releases everything. */
  close(): Promise<void>
}

const OWN_OPTIONS = ['routes', 'extra', 'strict', 'mode', 'trace', 'asyncContext', 'handlerTimeoutMs']

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
  knownKeys(
    'secureApi',
    options,
    [...rows, ...OWN_OPTIONS, ...SERVICE_OPTIONS],
    [...rows.filter((row) => row !== 'auth'), ...OWN_OPTIONS],
  )
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
    asyncContext = false,
    handlerTimeoutMs = 300_000,
    ...rest
  } = options
  const generalMode = modeOf('mode', mode, rows)
  if (handlerTimeoutMs !== false) integer('handlerTimeoutMs', handlerTimeoutMs, { max: 2_147_483_647 })

  boolean('strict', strict)
  boolean('trace', trace)
  boolean('asyncContext', asyncContext)

  const services = createServices(pick(rest, SERVICE_OPTIONS))
  const planner = new Planner(order, pick(rest, rows), extra)
  const rules = membersOf('routes', routes, 'of rules').map(([pattern, setting]) =>
    planner.route(pattern, setting),
  )
  const seen = { trace, asyncContext }
  const plans = new Plans(planner, rules, {
    ...seen,
    mode: generalMode,
    last: watchHandler(handlerTimeoutMs),
  })
  const enter = entrance(plans, services, { strict })
  const anonymous = plans.reporting('auth')
  if (anonymous.length > 0) {
    services.log.warn('auth only reports: callers without a valid credential get in as anonymous', {
      routes: anonymous.map(({ route }) => route ?? 'all without a rule of their own'),
    })
  }

  const secured: Middleware = (req, res, next) =>
    enter(req, res, (error) => (error === undefined ? next() : next(error)))

  const behindFrontDoor = new WeakSet()
  const guards = new Map<unknown, readonly Seat[]>()
  const guard = (settings: GuardSettings): Middleware => {
    const seats = planner.guard(`guard ${guards.size + 1}`, settings)
    const guarded = guardOf(
      seats.map(({ stage }) => stage),
      enter,
      seen,
    )
    guards.set(guarded, seats)
    // Whoever changes the settings afterwards changes no stage, and must not make check() believe so.
    return Object.assign(guarded, { [GUARD]: { settings: { ...settings }, by: secured } })
  }

  const allStages = (): Stage[] => [
    ...plans.stages(),
    ...[...guards.values()].flat().map(({ stage }) => stage),
  ]

  return Object.assign(secured, {
    [GUARD]: { by: secured, settings: undefined },
    guard,
    protect: (app: Handler) => {
      refuseForward(services)
      func('protect: the application', app)
      behindFrontDoor.add(app)
      return frontDoor(enter, app)
    },
    errors: () => errorAnswerer(services),
    check: (app: unknown) =>
      checkApp(app, {
        api: secured,
        settings: { ...options },
        plans,
        strict,
        stages: allStages(),
        proxySeen: services.proxySeen?.() === true,
        isProtected: behindFrontDoor.has(app as object),
      }),
    explain: (subject?: unknown) => {
      const { everywhere } = plans
      const seats = guards.get(subject)
      const plan = seats !== undefined || subject === undefined ? everywhere : plans.named(subject)
      return (seats ?? plan.seats).map(({ stage, door }) => ({
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
}

/** In front of the application, `next` leads to the application and not to an error handler. */
function refuseForward({ respond }: Services): void {
  if (respond !== forward) return
  throw new ConfigError(
    'respond: forward hands refusals to an error handler of the application, and in front of it there is none; ' +
      'mount the API inside, by app.use(api) and without protect(app), or write a respond of your own',
    'forward-in-front',
  )
}

function pick(options: object, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).filter(([key, value]) => keys.includes(key) && value !== undefined),
  )
}
