import { METHODS } from 'node:http'
import { didYouMean, show } from './kernel/check.js'
import { prepare, type Pipeline } from './kernel/compile.js'
import { ConfigError } from './kernel/config-error.js'
import { pathOf } from './kernel/context.js'
import { compileRoutes, paramsReader, type Fit } from './kernel/match.js'
import { enforcementOf, type Enforcement, type Mode } from './kernel/mode.js'
import type { Stage } from './kernel/stage.js'
import type { Planner, RouteRule, Seat } from './plan.js'

/** Stages made ready for one kind of request. */
export interface Plan {
  readonly seats: readonly Seat[]
  readonly pipeline: Pipeline
  readonly enforcement: (stage: Stage) => Enforcement
  readonly route: string | undefined
  readonly rule: RouteRule | undefined
  /** Reads the parameters of the route, where it adds something that may ask for them. */
  readonly paramsOf: ((path: string) => Record<string, string>) | undefined
  /** The route's own mode, where it holds. */
  readonly mode: Mode | undefined
}

export interface PlanOptions {
  /** The general mode. */
  readonly mode: Mode | undefined
  readonly trace: boolean
  readonly asyncContext: boolean
  /** Runs behind all others, in every plan. */
  readonly last: Stage
}

/** Which rules can fit together depends on paths yet unseen; the bound keeps a flood of odd paths from filling memory. */
const MAX_UNFORESEEN = 1_000

/** All plans of one API, and which of them a request gets. */
export class Plans {
  /** For requests that no rule fits. */
  readonly everywhere: Plan
  readonly match: (method: string, path: string) => Fit<RouteRule>
  private readonly exact: ReadonlyMap<RouteRule, Plan>
  private readonly loose: Map<string, Plan>

  /** @throws ConfigError for rules that cannot stand beside one another, and for stages whose needs are unmet */
  constructor(
    private readonly planner: Planner,
    readonly rules: readonly RouteRule[],
    private readonly options: PlanOptions,
  ) {
    this.match = compileRoutes(rules)
    this.everywhere = this.make(planner.exactly())
    this.exact = new Map(rules.map((rule) => [rule, this.make(planner.exactly(rule), rule, rule.mode)]))
    this.loose = new Map(rules.map((rule) => [rule.pattern, this.make(planner.loosely([rule]), rule)]))
  }

  /**
   * The plan of a request that came as `original`, and that the application now routes as `routed`.
   *
   * @param altered whether it came with another method
   */
  of(method: string, original: string, routed: string, altered = false): Plan {
    const { exact: winner, fits } = this.match(method, pathOf(original))
    if (routed === original && !altered)
      return winner === undefined ? this.loosely(fits) : this.exact.get(winner)!
    // Somebody rewrote URL or method: whatever may be meant adds, and nothing takes away.
    return this.loosely([...new Set([...fits, ...this.match(method, pathOf(routed)).fits])])
  }

  /**
   * The plan of a rule as it is written in `routes`, or of a method and a path.
   *
   * @throws ConfigError for anything else
   */
  named(route: unknown): Plan {
    const named = this.rules.find(({ pattern }) => pattern === route)
    if (named !== undefined) return this.exact.get(named)!
    const [method = '', path = '', ...rest] = typeof route === 'string' ? route.split(' ') : []
    if (METHODS.includes(method) && path.startsWith('/') && rest.length === 0)
      return this.of(method, path, path)
    const known = this.rules.map(({ pattern }) => pattern)
    throw new ConfigError(
      `explain takes a rule of routes, a method and a path such as 'POST /orders', or a guard of this API, got ` +
        `${show(route, known)}${didYouMean(route, known)}`,
      'unknown-route',
    )
  }

  /** The plans in which the stage of this name only reports. */
  reporting(name: string): Plan[] {
    return [this.everywhere, ...this.exact.values()].filter(({ pipeline }) =>
      [...pipeline.reporting].some((stage) => stage.name === name),
    )
  }

  /** Every stage of every plan, once. */
  stages(): Stage[] {
    const plans = [this.everywhere, ...this.exact.values(), ...this.loose.values()]
    return [...new Set(plans.flatMap(({ seats }) => seats.map(({ stage }) => stage)))]
  }

  private loosely(fits: readonly RouteRule[]): Plan {
    if (fits.length === 0) return this.everywhere
    const key = fits.map(({ pattern }) => pattern).join('\n')
    let plan = this.loose.get(key)
    if (plan === undefined) {
      plan = this.make(this.planner.loosely(fits), fits[0])
      if (this.loose.size < this.rules.length + MAX_UNFORESEEN) this.loose.set(key, plan)
    }
    return plan
  }

  private make(seats: readonly Seat[], rule?: RouteRule, routeMode?: Mode): Plan {
    const { mode, trace, asyncContext, last } = this.options
    const enforcement = enforcementOf(mode, routeMode)
    return {
      seats,
      pipeline: prepare([...seats.map(({ stage }) => stage), last], {
        enforcement,
        trace,
        asyncContext,
      }),
      enforcement,
      route: rule?.pattern,
      rule,
      paramsOf: rule !== undefined && rule.additions.size > 0 ? paramsReader(rule) : undefined,
      mode: routeMode,
    }
  }
}
