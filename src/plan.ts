import { didYouMean, knownKeys, membersOf, show } from './kernel/check.js'
import { ConfigError } from './kernel/config-error.js'
import { parsePattern, type RoutePattern } from './kernel/match.js'
import { modeOf, type Mode } from './kernel/mode.js'
import { assertNeedsMet } from './kernel/needs.js'
import { refuse } from './kernel/problem.js'
import type { AnyRow, Place } from './kernel/row.js'
import type { Fact, Stage, StageMiddleware } from './kernel/stage.js'

/** A stage of your own, placed behind a row of the table. */
export interface ExtraStage {
  stage: StageMiddleware
  /** The row it runs behind, such as `auth`. */
  after: string
}

/** A stage in its place, and the door through which it came. */
export interface Seat {
  readonly stage: Stage
  readonly door: 'general' | 'route' | 'guard' | 'extra'
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
  readonly merges: ReadonlyMap<string, { setting: unknown; stage: Stage; loosens: boolean }>
  readonly setting: Settings
}

/**
 * Turns settings into ordered stages. What a route or guard says is added behind the general stages; only a written
 * `public: true`, `false`, `{ replace: ... }`, or a setting that says so takes something away, and only from a request
 * that fits the route letter by letter.
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
    const merges = new Map<string, { setting: unknown; stage: Stage; loosens: boolean }>()

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
      } else if (row.merge) {
        if (this.settings[name] === false) {
          throw new ConfigError(`${option}.${name} has nothing to add to: ${name} is false`)
        }
        const stage = within(
          option,
          () => row.general(row.merge!(this.settingOf(name), own, place), place)?.stage,
        )
        if (stage) merges.set(name, { setting: own, stage, loosens: row.loosens?.(own) ?? false })
      } else if (row.local) {
        const { stage } = within(option, () => row.local!(own, place))
        additions.set(name, this.claimed(`${option}.${name}`, stage))
      } else {
        throw new ConfigError(
          `${option}.${name} would replace the general setting; write { replace: ... } if that is meant`,
          'silent-replacement',
        )
      }
    }

    const mode = modeOf(`${option}.mode`, setting.mode, this.names)
    return { ...parsePattern(pattern), isPublic, mode, additions, replacements, merges, setting }
  }

  /** The stages of a request that fits `rule` letter by letter, or no rule at all. */
  exactly(rule?: RouteRule): Seat[] {
    return this.lineUp((name) => {
      if (rule === undefined) return [this.generalSeat(name)]
      const merged = rule.merges.get(name)?.stage
      const replaced = rule.replacements.has(name)
      const base = replaced
        ? seat(rule.replacements.get(name), 'route')
        : merged
          ? seat(merged, 'route')
          : this.generalSeat(name)
      return [base, seat(rule.additions.get(name), 'route')]
    }, rule?.isPublic)
  }

  /** The stages of a request that may be meant for any of `rules`: everything they add, and nothing they take away. */
  loosely(rules: readonly RouteRule[]): Seat[] {
    return this.lineUp((name) => {
      const row = this.rows[name]!
      const tightening = rules.flatMap<{ setting: unknown; stage?: Stage }>(({ merges }) => {
        const merge = merges.get(name)
        if (merge === undefined) return []
        if (!merge.loosens) return [merge]
        const kept = row.tightening?.(merge.setting) as unknown
        return kept === undefined ? [] : [{ setting: kept }]
      })
      const base =
        tightening.length === 0
          ? this.generalSeat(name)
          : seat(
              (tightening.length === 1 && tightening[0]!.stage) || this.mergeAll(row, name, tightening),
              'route',
            )
      const added = rules.flatMap(({ additions, replacements }) => [
        additions.get(name),
        row.local ? replacements.get(name) : undefined,
      ])
      return [base, ...added.map((stage) => seat(stage, 'route'))]
    })
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
      return [{ stage, door: 'guard' as const }]
    })
    const given = this.exactly().flatMap(({ stage }) => stage.gives ?? [])
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

  /** `true` and absent mean the defaults. */
  private settingOf(name: string): unknown {
    const setting = this.settings[name]
    return setting === undefined || setting === true ? {} : setting
  }

  private place(door: Place['door'], name: string): Place {
    return { door, name, settings: this.settings, shared: this.shared }
  }

  private lineUp(seatsOf: (name: string) => (Seat | undefined)[], isPublic = false): Seat[] {
    const seats = this.names.flatMap((name) => [
      ...(isPublic && this.rows[name]!.whenPublic === 'announce' ? [PUBLIC] : seatsOf(name)),
      ...this.extra.filter(({ after }) => after === name).map(({ stage }) => seat(stage.stage, 'extra')),
    ])
    return assertFits(seats.filter((found) => found !== undefined))
  }

  private generalSeat(name: string): Seat | undefined {
    return seat(this.general.get(name), 'general')
  }

  private mergeAll(row: AnyRow, name: string, merges: readonly { setting: unknown }[]): Stage | undefined {
    const place = this.place('route', name)
    const start: unknown = this.settingOf(name)
    try {
      const united = merges.reduce<unknown>(
        (general, { setting }) => row.merge!(general, setting, place) as unknown,
        start,
      )
      return row.general(united, place)?.stage
    } catch (error) {
      if (error instanceof ConfigError) return contradiction(name, this.general.get(name)?.gives)
      throw error
    }
  }
}

/** Stands where identity would be asked for. */
const PUBLIC: Seat = {
  door: 'route',
  stage: {
    name: 'public',
    enter(ctx) {
      ctx.decided = true
      ctx.note('public', 'the route is public: credentials are not read')
    },
  },
}

/** Each rule is sound by itself, but no request can be what all of them ask. */
function contradiction(name: string, gives: readonly Fact[] = []): Stage {
  return {
    name,
    gives,
    reportable: 'never',
    enter: () =>
      refuse('ambiguous-path', {
        rule: 'contradiction',
        detail: 'The path fits rules that exclude one another.',
      }),
  }
}

function seat(stage: Stage | undefined, door: Seat['door']): Seat | undefined {
  return stage && { stage, door }
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
  for (const key of ['auth', 'rbac']) {
    if (setting[key] !== undefined) {
      throw new ConfigError(
        `${option} is public and has ${key}; a public route asks nobody who they are. Drop one of them`,
      )
    }
  }
}

function assertFits(seats: Seat[], given?: readonly Fact[]): Seat[] {
  assertNeedsMet(
    seats.map(({ stage }) => stage),
    given,
  )
  return seats
}
