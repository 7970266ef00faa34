import { METHODS } from 'node:http'
import { didYouMean, show } from './kernel/check.js'
import { prepare, type Pipeline } from './kernel/compile.js'
import { ConfigError } from './kernel/config-error.js'
import { pathOf } from './kernel/context.js'
import { compileRoutes, paramsReader, type Fit } from './kernel/match.js'
import { EVERYTHING, meetings } from './kernel/meetings.js'
import { enforcementAmong, enforcementOf, type Enforcement, type Mode } from './kernel/mode.js'
import { keyOf } from './kernel/route-pattern.js'
import { RouteTree } from './kernel/route-tree.js'
import type { Stage } from './kernel/stage.js'
import type { Planner } from './plan.js'
import type { RouteRule } from './route-rule.js'
import type { Seat } from './seat.js'

/** Stages made ready for one kind of request. */
export interface Plan {
  readonly seats: readonly Seat[]
  readonly pipeline: Pipeline
  /** The same function wherever the same modes hold. */
  readonly enforcement: (stage: Stage) => Enforcement
  /** The rules that fit, the most specific one first. */
  readonly rules: readonly RouteRule[]
  readonly route: string | undefined
  /** Reads the parameters of the route, where it adds something that may ask for them. */
  readonly paramsOf: ((path: string) => Record<string, string>) | undefined
}

export interface PlanOptions {
  /** The general mode. */
  readonly mode: Mode | undefined
  readonly trace: boolean
  readonly asyncContext: boolean
  /** Runs behind all others, in every plan. */
  readonly last: Stage
}

/**
 * So many combinations of rules are prepared at start, besides those of one rule and all wider ones. A path that can be
 * read in several ways may fit further ones; the same bound keeps a flood of such paths from filling memory.
 */
const MAX_COMBINATIONS = 1_000

/** All plans of one API, and which of them a request gets. */
export class Plans {
  /** For requests that no rule fits. */
  readonly everywhere: Plan
  readonly tree: RouteTree<RouteRule>
  private readonly match: ReturnType<typeof compileRoutes<RouteRule>>
  private readonly exact: ReadonlyMap<RouteRule, Plan>
  /** Instead of those, where more rules are wider because segments may end at dots. */
  private readonly exactDotted = new Map<RouteRule, Plan>()
  /** By the patterns of the rules that fit. */
  private readonly loose = new Map<string, Plan>()
  private readonly enforcement: (stage: Stage) => Enforcement

  /** @throws ConfigError for rules that cannot stand beside one another, and for stages whose needs are unmet */
  constructor(
    private readonly planner: Planner,
    readonly rules: readonly RouteRule[],
    private readonly options: PlanOptions,
  ) {
    this.tree = new RouteTree(rules)
    this.match = compileRoutes(rules, this.tree)
    this.enforcement = enforcementOf(options.mode)
    this.everywhere = this.make({ exact: undefined, fits: [] })
    this.exact = new Map(rules.map((rule) => [rule, this.make(this.tree.fitOf(rule))]))
    for (const rule of rules) this.addDotted(rule)
    for (const kind of meetings(this.tree, EVERYTHING, rules.length + MAX_COMBINATIONS)) {
      const fits = this.tree.containing(kind)
      const [first] = fits
      if (first === undefined) continue
      // Requests that fit a rule meet this only if they are spelled oddly; others are as good as any.
      const isOdd = keyOf(first) === keyOf(kind)
      const sameAsExact = isOdd && first.takes.length === 0 ? this.exact.get(first) : undefined
      this.loose.set(named(fits), sameAsExact ?? this.make({ exact: undefined, fits }, isOdd))
    }
  }

  /**
   * The plan of a request that came as `original`, and that the application now routes as `routed`.
   *
   * @param altered whether it came with another method
   * @param dotted whether the application may end a segment of the path at a dot
   */
  of(method: string, original: string, routed: string, altered = false, dotted = false): Plan {
    const { exact: winner, fits } = this.match(method, pathOf(original), dotted)
    if (routed === original && !altered) return this.exactly(winner, fits) ?? this.loosely(fits)
    // Somebody rewrote URL or method: whatever may be meant adds, and nothing takes away.
    return this.loosely([...new Set([...fits, ...this.match(method, pathOf(routed), dotted).fits])])
  }

  /**
   * The plan of a rule as it is written in `routes`, or of a method and a path.
   *
   * @throws ConfigError for anything else
   */
  named(route: unknown): Plan {
    const rule = this.rules.find(({ pattern }) => pattern === route)
    if (rule !== undefined) return this.exact.get(rule)!
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
    const plans = [
      this.everywhere,
      ...this.exact.values(),
      ...this.exactDotted.values(),
      ...this.loose.values(),
    ]
    return [...new Set(plans.flatMap(({ seats }) => seats.map(({ stage }) => stage)))]
  }

  private exactly(winner: RouteRule | undefined, fits: readonly RouteRule[]): Plan | undefined {
    if (winner === undefined) return undefined
    const plan = this.exact.get(winner)!
    return plan.rules.length === fits.length ? plan : this.exactDotted.get(winner)
  }

  private addDotted(rule: RouteRule): void {
    const fit = this.tree.fitOf(rule, true)
    if (fit === this.tree.fitOf(rule)) return
    try {
      this.exactDotted.set(rule, this.make(fit, true))
    } catch (error) {
      // The application may be none for which these rules meet. If it is, nothing is taken away.
      if (!(error instanceof ConfigError)) throw error
    }
  }

  private loosely(fits: readonly RouteRule[]): Plan {
    if (fits.length === 0) return this.everywhere
    const key = named(fits)
    let plan = this.loose.get(key)
    if (plan === undefined) {
      plan = this.make({ exact: undefined, fits }, true)
      if (this.loose.size < this.rules.length + 2 * MAX_COMBINATIONS) this.loose.set(key, plan)
    }
    return plan
  }

  private make(fit: Fit<RouteRule>, refuses = false): Plan {
    const { trace, asyncContext, last } = this.options
    const { fits } = fit
    const [first] = fits
    const seats = this.planner.line(fit, refuses)
    const enforcement = this.enforcementFor(fit)
    return {
      seats,
      pipeline: prepare([...seats.map(({ stage }) => stage), last], { enforcement, trace, asyncContext }),
      enforcement,
      rules: fits,
      route: first?.pattern,
      paramsOf: first !== undefined && first.additions.size > 0 ? paramsReader(first) : undefined,
    }
  }

  private enforcementFor({ exact, fits }: Fit<RouteRule>): Plan['enforcement'] {
    const others = fits.flatMap((rule) => (rule === exact || rule.mode === undefined ? [] : [rule.mode]))
    if (exact?.mode === undefined && others.length === 0) return this.enforcement
    return enforcementAmong(this.options.mode, exact?.mode, others)
  }
}

function named(rules: readonly RouteRule[]): string {
  return rules.map(({ pattern }) => pattern).join('\n')
}
