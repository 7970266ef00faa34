import { knownKeys, membersOf } from './kernel/check.js'
import { ConfigError } from './kernel/config-error.js'
import type { Fit } from './kernel/match.js'
import { assertNeedsMet } from './kernel/needs.js'
import type { AnyRow } from './kernel/row.js'
import type { Fact } from './kernel/stage.js'
import { GeneralPlan, type ExtraStage, type Settings } from './general-plan.js'
import { routeRule, type RouteRule } from './route-rule.js'
import { isMarkedSensitive, isReplacement, refuseNull, within } from './row-setting.js'
import { contradiction, needsCaller, publicSeat, seat, sensitiveSeat, type Seat } from './seat.js'

/**
 * Turns settings into ordered stages. What routes and guards say is added behind the general stages; only a written
 * `public: true`, `false`, `{ replace: ... }`, or a setting that says so takes something away, and only from requests that
 * fit the route letter by letter, and no rule that is not wider.
 */
export class Planner {
  private readonly general: GeneralPlan
  /** Of each row: its seats where no rule says anything about it, and those behind it. */
  private readonly inGeneral: ReadonlyMap<string, { own: readonly Seat[]; extra: readonly Seat[] }>

  /** @throws ConfigError for unknown rows and wrong settings */
  constructor(rows: Readonly<Record<string, AnyRow>>, settings: Settings, extra: readonly ExtraStage[] = []) {
    this.general = new GeneralPlan(rows, settings, extra)
    const behind = (name: string) => this.general.extra.filter(({ after }) => after === name)
    this.inGeneral = new Map(
      this.general.names.map((name) => [
        name,
        {
          own: present([seat(this.general.stage(name), 'general')]),
          extra: present(behind(name).map(({ stage }) => seat(stage.stage, 'extra'))),
        },
      ]),
    )
  }

  /** @throws ConfigError for a pattern, key or value that breaks a rule */
  route(pattern: string, given: unknown): RouteRule {
    return routeRule(this.general, pattern, given)
  }

  /**
   * The stages of a request that these rules fit: all that any of them adds, the widest one first, and nothing taken away
   * save by `exact`.
   *
   * @param refuses what to do if the rules exclude one another: refuse such requests, or not start
   * @throws ConfigError for stages whose needs are unmet, and for rules that exclude one another
   */
  line({ exact, fits }: Fit<RouteRule> = GENERAL, refuses = false): Seat[] {
    const rules = [...fits].reverse()
    const said = new Set(rules.flatMap(rowsOf))
    const isPublic = exact?.isPublic === true
    const seats = [
      ...(rules.some(({ isSensitive }) => isSensitive) ? [sensitiveSeat('route')] : []),
      ...this.general.names.flatMap((name) => {
        const { own, extra } = this.inGeneral.get(name)!
        return [...(said.has(name) || isPublic ? this.seatsOf(name, exact, rules, refuses) : own), ...extra]
      }),
    ]
    const label = rules.map(({ pattern }) => `routes['${pattern}']`).join(' and ')
    if (!isPublic) return assertFits(seats, undefined, label)
    const leftOut = needsCaller(seats)
    const announced = publicSeat(leftOut.map(({ stage }) => stage.name))
    const present = seats.filter((each) => !leftOut.includes(each))
    return assertFits(
      present.map((each) => (each === PUBLIC ? announced : each)),
      undefined,
      label,
    )
  }

  private seatsOf(
    name: string,
    exact: RouteRule | undefined,
    rules: readonly RouteRule[],
    refuses: boolean,
  ): Seat[] {
    const row = this.general.rows[name]!
    if (exact?.isPublic === true && row.whenPublic === 'announce') return [PUBLIC]
    if (exact?.replacements.has(name)) return present([seat(exact.replacements.get(name), 'route')])
    const mayRunTwice = row.local !== undefined || row.repeatable === true
    const added = rules.flatMap(({ additions, replacements }) => [
      additions.get(name),
      mayRunTwice ? replacements.get(name) : undefined,
    ])
    return present([this.base(name, exact, rules, refuses), ...added.map((stage) => seat(stage, 'route'))])
  }

  /** The general stage of a row, with whatever rules merge into its setting. */
  private base(
    name: string,
    exact: RouteRule | undefined,
    rules: readonly RouteRule[],
    refuses: boolean,
  ): Seat | undefined {
    const row = this.general.rows[name]!
    const said = rules.flatMap((rule) => {
      const merge = rule.merges.get(name)
      if (merge === undefined) return []
      const setting: unknown =
        rule === exact || !merge.loosens ? merge.setting : row.tightening?.(merge.setting)
      return setting === undefined ? [] : [{ rule, setting }]
    })
    const general = this.general.stage(name)
    if (said.length === 0) return seat(general, 'general')
    const stage = this.general.merged(
      name,
      said.map(({ setting }) => setting),
    )
    if (stage !== undefined) return seat(stage, 'route')
    if (refuses) return seat(contradiction(name, general?.gives), 'route')
    const patterns = said.map(({ rule }) => `'${rule.pattern}'`).join(' and ')
    throw new ConfigError(
      `routes: ${patterns} fit the same requests, and what they say about ${name} excludes one another; write a rule for ` +
        `these requests with ${name}: { replace: ... }`,
      'contradicting-routes',
    )
  }

  /**
   * The stages that a guard adds.
   *
   * @throws ConfigError for whatever a guard cannot do: take away, replace, or decide what is already decided
   */
  guard(name: string, setting: Settings): Seat[] {
    if (membersOf('guard', setting).length === 0)
      throw new ConfigError('guard must be told what to add, got an empty object', 'empty-guard')
    const rows = Object.entries(this.general.rows).filter(
      ([, row]) => row.guard !== false && (row.guard ?? row.local),
    )
    const early = this.general.names.filter((row) => !rows.some(([known]) => known === row))
    for (const key of [...early, 'public', 'mode']) {
      if (Object.hasOwn(setting, key)) {
        throw new ConfigError(
          `guard.${key} comes too late: write it in routes, which are known before the request is read`,
        )
      }
    }
    const keys = rows.map(([row]) => row)
    const known = [...keys, 'sensitive']
    knownKeys('guard', setting, known, known)

    const place = this.general.place('guard', name)
    const seats = rows.flatMap(([row, { guard, local }]) => {
      const own = setting[row]
      refuseNull(`guard.${row}`, own)
      if (own === undefined) return []
      if (own === false || isReplacement(own)) {
        throw new ConfigError(
          `guard.${row} takes protection away; a guard only adds. Write it in routes`,
          'loosening-guard',
        )
      }
      const build = (guard === false ? undefined : guard) ?? local!
      const { stage } = within(name, () => build(own, place))
      this.general.refuseConflict(`guard.${row}`, row, own)
      return [{ stage, door: 'guard' as const }]
    })
    const given = this.line().flatMap(({ stage }) => stage.gives ?? [])
    assertFits(seats, given)
    for (const { stage } of seats) this.general.claimed(`${name}.${stage.name}`, stage)
    return isMarkedSensitive('guard', setting) ? [sensitiveSeat('guard'), ...seats] : seats
  }
}

/** The rows that a rule says something about. */
function rowsOf({ additions, replacements, merges }: RouteRule): string[] {
  return [additions, replacements, merges].flatMap((said) => [...said.keys()])
}

const GENERAL: Fit<RouteRule> = { exact: undefined, fits: [] }

const PUBLIC = publicSeat([])

function present(seats: readonly (Seat | undefined)[]): Seat[] {
  return seats.filter((each) => each !== undefined)
}

function assertFits(seats: Seat[], given?: readonly Fact[], place = ''): Seat[] {
  const assert = (): void =>
    assertNeedsMet(
      seats.map(({ stage }) => stage),
      given,
    )
  if (place === '') assert()
  else within(place, assert)
  return seats
}
