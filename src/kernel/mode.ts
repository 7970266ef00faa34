import { knownKeys, oneOf } from './check.js'
import { ConfigError } from './config-error.js'
import type { Stage } from './stage.js'

/** Whether a stage's refusals are carried out, or only put on record. */
export type Enforcement = 'enforce' | 'report'

/** Report or enforce: for everything, or by stage. */
export type Mode = Enforcement | Readonly<Record<string, Enforcement>>

/**
 * Whether a stage is enforced, given the modes of the API and of the route that fits.
 *
 * @throws ConfigError if a stage is told to report that must not
 */
export function enforcementOf(general: Mode | undefined, route?: Mode): (stage: Stage) => Enforcement {
  return ({ name, reportable = 'always' }) => {
    const named = byName(route, name) ?? (typeof route === 'string' ? undefined : byName(general, name))
    if (reportable === 'never') {
      if (named === 'report')
        throw new ConfigError(`mode.${name} cannot be 'report': what it refuses must not get in`)
      return 'enforce'
    }
    if (named !== undefined) return named
    if (reportable === 'by-name') return byName(general, name) ?? 'enforce'
    return typeof route === 'string' ? route : typeof general === 'string' ? general : 'enforce'
  }
}

/**
 * Whether a stage is enforced where several rules fit. The word of `exact` holds; besides it `others` may only enforce
 * what would be reported.
 */
export function enforcementAmong(
  general: Mode | undefined,
  exact: Mode | undefined,
  others: readonly Mode[],
): (stage: Stage) => Enforcement {
  const decided = enforcementOf(general, exact)
  const strict = others.map((mode) => enforcementOf(general, mode))
  return (stage) => {
    if (decided(stage) === 'enforce' || isNamed(exact, stage)) return decided(stage)
    return strict.some((other) => other(stage) === 'enforce') ? 'enforce' : 'report'
  }
}

function isNamed(mode: Mode | undefined, { name, reportable = 'always' }: Stage): boolean {
  return typeof mode === 'string' ? reportable === 'always' : mode?.[name] !== undefined
}

/** Whether a mode, by itself, lets something in that would be refused. */
export function reports(mode: Mode | undefined): boolean {
  return mode === 'report' || (typeof mode === 'object' && Object.values(mode).includes('report'))
}

/** @throws ConfigError for an unknown mode or stage */
export function modeOf(option: string, mode: unknown, names: readonly string[]): Mode | undefined {
  if (mode === undefined) return undefined
  if (typeof mode !== 'object' || mode === null)
    return oneOf<Enforcement>(option, mode, ['enforce', 'report'])
  knownKeys(option, mode, names)
  for (const [name, value] of Object.entries(mode)) oneOf(`${option}.${name}`, value, ['enforce', 'report'])
  return mode as Mode
}

function byName(mode: Mode | undefined, name: string): Enforcement | undefined {
  return typeof mode === 'object' ? mode[name] : undefined
}
