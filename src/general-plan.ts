import { didYouMean, knownKeys, show } from './kernel/check.js'
import { ConfigError } from './kernel/config-error.js'
import type { AnyRow, Place } from './kernel/row.js'
import type { Stage, StageMiddleware } from './kernel/stage.js'
import { refuseNull } from './row-setting.js'

/** A stage of your own, placed behind a row of the table. */
export interface ExtraStage {
  stage: StageMiddleware
  /** The row it runs behind, such as `auth`. */
  after: string
}

export type Settings = Readonly<Record<string, unknown>>

/** What holds for every request: the table with its settings, the stages that they make, and what more may be made of them. */
export class GeneralPlan {
  readonly names: readonly string[]
  private readonly stages = new Map<string, Stage>()
  private readonly shared = new Map<string, unknown>()
  /** Names of limits, and where each is set: a shared store tells limits apart by their names alone. */
  private readonly limits = new Map<string, string>()

  /** @throws ConfigError for unknown rows and wrong settings */
  constructor(
    readonly rows: Readonly<Record<string, AnyRow>>,
    readonly settings: Settings,
    readonly extra: readonly ExtraStage[] = [],
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
      if (built !== undefined) this.stages.set(name, this.claimed(name, built.stage))
    }
    this.extra.forEach(({ stage }, i) => this.claimed(`extra[${i}]`, stage.stage))
  }

  /** The stage of a row. */
  stage(name: string): Stage | undefined {
    return this.stages.get(name)
  }

  /** One stage out of the general setting of a row and what rules say; `undefined` if they exclude one another. */
  merged(name: string, settings: readonly unknown[]): Stage | undefined {
    const row = this.rows[name]!
    const place = this.place('route', name)
    let united: unknown = this.settingOf(name)
    for (const setting of settings) {
      united = row.merge!(united, setting, place)
      if (united === undefined) return undefined
    }
    return row.general(united, place)?.stage
  }

  /** Two stages that run one behind the other may be sound each, and let nobody through together. */
  refuseConflict(option: string, name: string, own: unknown): void {
    if (this.settings[name] === false) return
    const conflict = this.rows[name]!.conflict?.(this.settingOf(name), own)
    if (conflict !== undefined) throw new ConfigError(`${option}${conflict}`, 'contradiction')
  }

  /** Any two rules may have to hold for one odd path, so no two limits may have one name. */
  claimed(option: string, stage: Stage): Stage {
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

  place(door: Place['door'], name: string): Place {
    return { door, name, settings: this.settings, shared: this.shared }
  }

  /** `true` and absent mean the defaults. */
  private settingOf(name: string): unknown {
    const setting = this.settings[name]
    return setting === undefined || setting === true ? {} : setting
  }
}
