import { knownKeys, show } from './kernel/check.js'
import { ConfigError } from './kernel/config-error.js'
import { modeOf, reports, type Mode } from './kernel/mode.js'
import { parsePattern, type RoutePattern } from './kernel/route-pattern.js'
import type { Stage } from './kernel/stage.js'
import type { GeneralPlan, Settings } from './general-plan.js'
import { isMarkedSensitive, isReplacement, refuseNull, within } from './row-setting.js'

/** One entry of `routes`, made ready. */
export interface RouteRule extends RoutePattern {
  readonly isPublic: boolean
  /** Not everybody who may is to do it without fresh or stronger authentication; it refuses nobody, and `check` looks after it. */
  readonly isSensitive: boolean
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

/** @throws ConfigError for a pattern, key or value that breaks a rule */
export function routeRule(plan: GeneralPlan, pattern: string, given: unknown): RouteRule {
  const option = `routes['${pattern}']`
  const keys = [...plan.names, 'public', 'sensitive', 'mode']
  knownKeys(option, given, keys, keys)
  const setting = given as Settings
  const isPublic = 'public' in setting
  const isSensitive = isMarkedSensitive(option, setting)
  if (isPublic) refuseContradiction(option, setting)

  const place = plan.place('route', pattern)
  const additions = new Map<string, Stage>()
  const replacements = new Map<string, Stage | undefined>()
  const merges = new Map<string, { setting: unknown; loosens: boolean }>()

  for (const name of plan.names) {
    const row = plan.rows[name]!
    const own = setting[name]
    if (own === undefined) {
      if (isPublic && row.whenPublic === 'absent') replacements.set(name, undefined)
      continue
    }
    refuseNull(`${option}.${name}`, own)
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
      replacements.set(name, stage && plan.claimed(`${option}.${name}`, stage))
      // Where it may not replace the general setting, it can still tighten it.
      if (row.merge && !row.repeatable && plan.settings[name] !== false)
        merges.set(name, { setting: own.replace, loosens: row.loosens?.(own.replace) ?? false })
    } else if (row.merge) {
      if (plan.settings[name] === false) {
        throw new ConfigError(`${option}.${name} has nothing to add to: ${name} is false`)
      }
      if (within(option, () => plan.merged(name, [own])) === undefined) {
        throw new ConfigError(
          `${option}.${name} excludes the general setting; no request can be what both ask`,
        )
      }
      merges.set(name, { setting: own, loosens: row.loosens?.(own) ?? false })
    } else if (row.local) {
      const { stage } = within(option, () => row.local!(own, place))
      plan.refuseConflict(`${option}.${name}`, name, own)
      additions.set(name, plan.claimed(`${option}.${name}`, stage))
    } else {
      throw new ConfigError(
        `${option}.${name} would replace the general setting; write { replace: ... } if that is meant`,
        'silent-replacement',
      )
    }
  }

  const mode = modeOf(`${option}.mode`, setting.mode, plan.names)
  const takes = [
    ...(isPublic ? ['public'] : []),
    ...(reports(mode) ? ['mode'] : []),
    ...[...replacements.keys()].filter((name) => setting[name] !== undefined),
    ...[...merges].filter(([name, { loosens }]) => loosens && !replacements.has(name)).map(([name]) => name),
  ]
  const { method, segments } = parsePattern(pattern)
  return {
    pattern,
    method,
    segments,
    isPublic,
    isSensitive,
    mode,
    additions,
    replacements,
    merges,
    takes,
  }
}

function refuseContradiction(option: string, setting: Settings): void {
  if (setting.public !== true)
    throw new ConfigError(`${option}.public must be true or absent, got ${show(setting.public)}`)
  for (const key of ['auth', 'stepUp', 'rbac', 'ownership', 'policy', 'sensitive']) {
    if (setting[key] !== undefined) {
      throw new ConfigError(
        `${option} is public and has ${key}; a public route asks nobody who they are. Drop one of them`,
      )
    }
  }
}
