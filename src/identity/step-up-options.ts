import { integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'

/** What a caller's authentication has to be. At least one of `acr`, `amr` and `maxAgeSeconds`; all that are given must hold. */
export interface StepUpOptions {
  /** Levels of which the caller's `acr` must be one, the best first: `acr_values` of the challenge. Default: any, or none. */
  acr?: string | readonly string[]
  /**
   * Methods that must all have been used, by their names in RFC 8176; a list among them asks for one of its methods:
   * `['pwd', ['otp', 'hwk']]`. Default: any.
   */
  amr?: string | readonly (string | readonly string[])[]
  /**
   * How long ago the caller may have authenticated, in seconds: `max_age` of the challenge. What `acr` and `amr` ask for must be as
   * recent. One whose time is not known, or still to come, is not recent. Default: however long.
   */
  maxAgeSeconds?: number
  /** How far the clock of whoever wrote the time may be ahead, in seconds, at most 60. Nobody's time is longer for it. Default 5. */
  clockToleranceSeconds?: number
}

/** The same, checked. */
export interface StepUpRules {
  readonly acr: readonly string[] | undefined
  /** Of each of these lists, one method. */
  readonly amr: readonly (readonly string[])[]
  readonly maxAgeSeconds: number
  readonly clockToleranceSeconds: number
}

const KNOWN = ['acr', 'amr', 'maxAgeSeconds', 'clockToleranceSeconds']
const PROTECTING = ['acr', 'amr', 'maxAgeSeconds']
/** RFC 9470 section 3: values are separated by spaces, and stand between quotes. */
const VALUE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/

/** @throws ConfigError for what asks for nothing, and for what no challenge could ask for */
export function prepareStepUp(options: StepUpOptions): StepUpRules {
  knownKeys('stepUp', options, KNOWN, PROTECTING)
  const { acr, amr, maxAgeSeconds, clockToleranceSeconds = 5 } = options
  if (acr === undefined && amr === undefined && maxAgeSeconds === undefined) {
    throw new ConfigError(
      'stepUp asks for nothing; give it at least one of acr, amr and maxAgeSeconds, such as { maxAgeSeconds: 300 }',
    )
  }
  return {
    acr: acr === undefined ? undefined : values('stepUp.acr', acr),
    amr:
      amr === undefined
        ? []
        : list('stepUp.amr', amr).map((one, i) =>
            values(Array.isArray(amr) ? `stepUp.amr[${i}]` : 'stepUp.amr', one),
          ),
    maxAgeSeconds:
      maxAgeSeconds === undefined ? Infinity : integer('stepUp.maxAgeSeconds', maxAgeSeconds, { max: 1e9 }),
    clockToleranceSeconds: integer('stepUp.clockToleranceSeconds', clockToleranceSeconds, {
      min: 0,
      max: 60,
    }),
  }
}

/**
 * One setting that asks for what both ask: the levels that both accept, the methods of both, the shorter time. `undefined` if
 * no level would do for both.
 */
export function mergeStepUp(general: StepUpOptions, own: StepUpOptions): StepUpOptions | undefined {
  const rules = prepareStepUp(own)
  if (Object.keys(general).length === 0) return own
  const others = prepareStepUp(general)
  const acr = inBoth(others.acr, rules.acr)
  if (acr?.length === 0) return undefined
  const amr = [...others.amr, ...rules.amr]
  const maxAgeSeconds = Math.min(others.maxAgeSeconds, rules.maxAgeSeconds)
  return {
    ...(acr !== undefined && { acr }),
    ...(amr.length > 0 && { amr }),
    ...(maxAgeSeconds !== Infinity && { maxAgeSeconds }),
    clockToleranceSeconds: Math.min(others.clockToleranceSeconds, rules.clockToleranceSeconds),
  }
}

function inBoth(
  one: readonly string[] | undefined,
  other: readonly string[] | undefined,
): readonly string[] | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one.filter((value) => other.includes(value))
}

function list(option: string, given: unknown): readonly unknown[] {
  if (typeof given === 'string') return [given]
  if (Array.isArray(given) && given.length > 0) return given
  throw new ConfigError(`${option} must be a text or a list of texts, got ${show(given)}`)
}

function values(option: string, given: unknown): readonly string[] {
  return list(option, given).map((one) => {
    if (typeof one === 'string' && VALUE.test(one)) return one
    throw new ConfigError(
      `${option} must have texts of printable ASCII without spaces, quotes and backslashes, got ${show(one)}`,
    )
  })
}
