import { didYouMean, knownKeys, membersOf, show } from './kernel/check.js'
import { ConfigError } from './kernel/config-error.js'
import type { Fit } from './kernel/match.js'
import { modeOf, reports, type Mode } from './kernel/mode.js'
import { assertNeedsMet } from './kernel/needs.js'
import { parsePattern, type RoutePattern } from './kernel/route-pattern.js'
import type { AnyRow, Place } from './kernel/row.js'
import type { Fact, Stage, StageMiddleware } from './kernel/stage.js'
import { contradiction, needsCaller, publicSeat, seat, type Seat } from './seat.js'

/** A stage of your own, placed behind a row of the table. */
export interface ExtraStage {
  stage: StageMiddleware
  /** The row it runs behind, such as `auth`. */
  after: string
}

type Settings = Readonly<Record<string, unknown>>

/** One entry of `routes`, made ready. */
export interface RouteRule extends RoutePattern {
  readonly isPublic: boolean
  readonly mode: Mode | undefined
  /** Behind the general stage of the row. */
  readonly additions: ReadonlyMap<string, Stage>
  /** In place of the general stage: `undefined` leaves it out. */
  readonly replacements: ReadonlyMap<string, Stage | undefined>
  /** To be merged into the general setting of the row; `loosens` if that takes something away. */
  readonly merges: ReadonlyMap<string, { setting: unknown; loosens: boolean }>
  /** What it takes away, by the word that is written: `public`, `mode`, or the name of a row. */
  readonly takes: readonly string[]
}

/**
 * Turns settings into ordered stages. What routes and guards say is added behind the general stages; only a written
 * `public: true`, `false`, `{ replace: ... }`, or a setting that says so takes something away, and only from requests that
 * fit the route letter by letter, and no rule that is not wider.
 */
export class Planner {
  private readonly general = new Map<string, Stage>()
  private readonly names: readonly string[]
  private readonly shared = new Map<string, unknown>()
  /** Names of limits, and where each is set: a shared store tells limits apart by their names alone. */
  private readonly limits = new Map<string, string>()

  /** @throws ConfigError for unknown rows and wrong settings */
  constructor(
    private readonly rows: Readonly<Record<string, AnyRow>>,
    private readonly settings: Settings,
    private readonly extra: readonly ExtraStage[] = [],
  ) {
    this.names = Object.keys(rows)
    if (!Array.isArray(extra)) throw new ConfigError(`extra must be a list, got ${show(extra)}`)
    extra.forEach((each: ExtraStage, i) => {
      knownKeys(`extra[${i}]`, each, ['after', 'stage'])
      const { after, stage } = each as { after: string; stage: Partial<StageMiddleware> | null }
      if (typeof (stage?.stage as Partial<Stage> | null | undefined)?.name !== 'string') {
        throw new ConfigError(
          `extra[${i}].stage is no stage; make one with defineStage, or mount plain middleware yourself`,
        )
      }
      if (!this.names.includes(after)) {
        throw new ConfigError(
          `extra[${i}].after must name a row of the table, got ${show(after, this.names)}${didYouMean(after, this.names)}`,
        )
      }
    })
    for (const name of this.names) refuseNull(name, settings[name])
    const place = this.place('general', '')
    for (const [name, row] of Object.entries(rows)) {
      const setting = settings[name] ?? row.standard
      if (setting === false) continue
      if (setting === true && !row.standard) {
        throw new ConfigError(`${name}: true says nothing; give it its options, or leave it out`)
      }
      const built = row.general(setting === true ? {} : setting, place)
      if (built !== undefined) this.general.set(name, this.claimed(name, built.stage))
    }
    this.extra.forEach(({ stage }, i) => this.claimed(`extra[${i}]`, stage.stage))
  }

  /** @throws ConfigError for a pattern, key or value that breaks a rule */
  route(pattern: string, given: unknown): RouteRule {
    const option = `routes['${pattern}']`
    const keys = [...this.names, 'public', 'mode']
    knownKeys(option, given, keys, keys)
    const setting = given as Settings
    const isPublic = 'public' in setting
    if (isPublic) refuseContradiction(option, setting)

    const place = this.place('route', pattern)
    const additions = new Map<string, Stage>()
    const replacements = new Map<string, Stage | undefined>()
    const merges = new Map<string, { setting: unknown; loosens: boolean }>()

    for (const [name, row] of Object.entries(this.rows)) {
      const own = setting[name]
      refuseNull(`${option}.${name}`, own)
      if (own === undefined) {
        if (isPublic && row.whenPublic === 'absent') replacements.set(name, undefined)
        continue
      }
      if (own === false) {
        if (row.inRoute === 'not-false') {
          throw new ConfigError(`${option}.${name} cannot be false; write public: true to let everybody in`)
        }
        replacements.set(name, undefined)
      } else if (isReplacement(own)) {
        if (own.replace === undefined)
          throw new ConfigError(
            `${option}.${name}.replace is undefined; give it a value, or write ${name}: false`,
          )
        const build = row.local ?? row.general
        const stage = within(option, () => build(own.replace, place)?.stage)
        replacements.set(name, stage && this.claimed(`${option}.${name}`, stage))
        // Where it may not replace the general setting, it can still tighten it.
        if (row.merge && !row.repeatable && this.settings[name] !== false)
          merges.set(name, { setting: own.replace, loosens: row.loosens?.(own.replace) ?? false })
      } else if (row.merge) {
        if (this.settings[name] === false) {
          throw new ConfigError(`${option}.${name} has nothing to add to: ${name} is false`)
        }
        if (within(option, () => this.merged(name, [own])) === undefined) {
          throw new ConfigError(
            `${option}.${name} excludes the general setting; no request can be what both ask`,
          )
        }
        merges.set(name, { setting: own, loosens: row.loosens?.(own) ?? false })
      } else if (row.local) {
        const { stage } = within(option, () => row.local!(own, place))
        this.refuseConflict(`${option}.${name}`, name, own)
        additions.set(name, this.claimed(`${option}.${name}`, stage))
      } else {
        throw new ConfigError(
          `${option}.${name} would replace the general setting; write { replace: ... } if that is meant`,
          'silent-replacement',
        )
      }
    }

    const mode = modeOf(`${option}.mode`, setting.mode, this.names)
    const takes = [
      ...(isPublic ? ['public'] : []),
      ...(reports(mode) ? ['mode'] : []),
      ...[...replacements.keys()].filter((name) => setting[name] !== undefined),
      ...[...merges]
        .filter(([name, { loosens }]) => loosens && !replacements.has(name))
        .map(([name]) => name),
    ]
    return { ...parsePattern(pattern), isPublic, mode, additions, replacements, merges, takes }
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
    const seats = this.names.flatMap((name) => [
      ...this.seatsOf(name, exact, rules, refuses),
      ...this.extra.filter(({ after }) => after === name).map(({ stage }) => seat(stage.stage, 'extra')!),
    ])
    const label = rules.map(({ pattern }) => `routes['${pattern}']`).join(' and ')
    if (exact?.isPublic !== true) return assertFits(seats, undefined, label)
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
    const row = this.rows[name]!
    if (exact?.isPublic === true && row.whenPublic === 'announce') return [PUBLIC]
    if (exact?.replacements.has(name)) return present([seat(exact.replacements.get(name), 'route')])
    const mayRunTwice = row.local !== undefined || row.repeatable === true
    const added = rules.flatMap(({ additions, replacements }) => [
      additions.get(name),
      mayRunTwice ? replacements.get(name) : undefined,
    ])
    return present([this.base(name, exact, rules, refuses), ...added.map((stage) => seat(stage, 'route'))])
  }

  /**
   * The stages that a guard adds.
   *
   * @throws ConfigError for whatever a guard cannot do: take away, replace, or decide what is already decided
   */
  guard(name: string, setting: Settings): Seat[] {
    if (membersOf('guard', setting).length === 0)
      throw new ConfigError('guard must be told what to add, got an empty object', 'empty-guard')
    const rows = Object.entries(this.rows).filter(
      ([, row]) => row.guard !== false && (row.guard ?? row.local),
    )
    const early = this.names.filter((row) => !rows.some(([known]) => known === row))
    for (const key of [...early, 'public', 'mode']) {
      if (Object.hasOwn(setting, key)) {
        throw new ConfigError(
          `guard.${key} comes too late: write it in routes, which are known before the request is read`,
        )
      }
    }
    const keys = rows.map(([row]) => row)
    knownKeys('guard', setting, keys, keys)

    const place = this.place('guard', name)
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
      this.refuseConflict(`guard.${row}`, row, own)
      return [{ stage, door: 'guard' as const }]
    })
    const given = this.line().flatMap(({ stage }) => stage.gives ?? [])
    assertFits(seats, given)
    for (const { stage } of seats) this.claimed(`${name}.${stage.name}`, stage)
    return seats
  }

  /** Any two rules may have to hold for one odd path, so no two limits may have one name. */
  private claimed(option: string, stage: Stage): Stage {
    for (const { name } of stage.policies ?? []) {
      const other = this.limits.get(name)
      if (other !== undefined) {
        throw new ConfigError(
          `${other} and ${option}: two limits are named "${name}"; give one of them another name, or leave it out`,
          'equal-limits',
        )
      }
      this.limits.set(name, option)
    }
    return stage
  }

  /** Two stages that run one behind the other may be sound each, and let nobody through together. */
  private refuseConflict(option: string, name: string, own: unknown): void {
    if (this.settings[name] === false) return
    const conflict = this.rows[name]!.conflict?.(this.settingOf(name), own)
    if (conflict !== undefined) throw new ConfigError(`${option}${conflict}`, 'contradiction')
  }

  /** `true` and absent mean the defaults. */
  private settingOf(name: string): unknown {
    const setting = this.settings[name]
    return setting === undefined || setting === true ? {} : setting
  }

  private place(door: Place['door'], name: string): Place {
    return { door, name, settings: this.settings, shared: this.shared }
  }

  /** The general stage of a row, with whatever rules merge into its setting. */
  private base(
    name: string,
    exact: RouteRule | undefined,
    rules: readonly RouteRule[],
    refuses: boolean,
  ): Seat | undefined {
    const row = this.rows[name]!
    const said = rules.flatMap((rule) => {
      const merge = rule.merges.get(name)
      if (merge === undefined) return []
      const setting: unknown =
        rule === exact || !merge.loosens ? merge.setting : row.tightening?.(merge.setting)
      return setting === undefined ? [] : [{ rule, setting }]
    })
    const general = this.general.get(name)
    if (said.length === 0) return seat(general, 'general')
    const stage = this.merged(
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

  /** One stage out of the general setting of a row and what rules say; `undefined` if they exclude one another. */
  private merged(name: string, settings: readonly unknown[]): Stage | undefined {
    const row = this.rows[name]!
    const place = this.place('route', name)
    let united: unknown = this.settingOf(name)
    for (const setting of settings) {
      united = row.merge!(united, setting, place)
      if (united === undefined) return undefined
    }
    return row.general(united, place)?.stage
  }
}

const GENERAL: Fit<RouteRule> = { exact: undefined, fits: [] }

const PUBLIC = publicSeat([])

function present(seats: readonly (Seat | undefined)[]): Seat[] {
  return seats.filter((each) => each !== undefined)
}

function isReplacement(setting: unknown): setting is { replace: unknown } {
  return (
    typeof setting === 'object' &&
    setting !== null &&
    Object.keys(setting).length === 1 &&
    Object.hasOwn(setting, 'replace')
  )
}

/** Stages name their options as if they stood alone; a message has to say where that is. */
function within<T>(place: string, build: () => T): T {
  try {
    return build()
  } catch (error) {
    if (!(error instanceof ConfigError) || error.message.startsWith(place)) throw error
    throw new ConfigError(`${place}: ${error.message}`, error.code)
  }
}

/** Programs without types pass `null` for what they forgot to set. */
function refuseNull(option: string, setting: unknown): void {
  if (setting === null) throw new ConfigError(`${option} must not be null; write false, or leave it out`)
}

function refuseContradiction(option: string, setting: Settings): void {
  if (setting.public !== true)
    throw new ConfigError(`${option}.public must be true or absent, got ${show(setting.public)}`)
  for (const key of ['auth', 'stepUp', 'rbac']) {
    if (setting[key] !== undefined) {
      throw new ConfigError(
        `${option} is public and has ${key}; a public route asks nobody who they are. Drop one of them`,
      )
    }
  }
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
