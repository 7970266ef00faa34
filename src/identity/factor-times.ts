import type { Factor } from '../kernel/authentication.js'
import { isObject } from '../lib/is-object.js'
import { isFactor } from './record-text.js'
import { isFactorName, MAX_FACTORS } from './session-request.js'

/** The claim `amr_times`: when each method was used, in seconds since 1970, by its name in `amr`. No standard has a claim for it. */
export function factorTimes(factors: readonly Factor[]): Readonly<Record<string, number>> {
  return Object.fromEntries(factors.map(({ method, at }) => [method, Math.floor(at)]))
}

/** What the claim says. Malformed, it counts as missing. */
export function factorsOf(times: unknown): readonly Factor[] | undefined {
  if (!isObject(times)) return undefined
  const entries = Object.entries(times)
  const fits =
    entries.length <= MAX_FACTORS && entries.every(([name, at]) => isFactorName(name) && Number.isFinite(at))
  return fits
    ? Object.freeze(entries.map(([method, at]) => Object.freeze({ method, at: at as number })))
    : undefined
}

/** Whether a record has factors as they were given. */
export function areFactors(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > MAX_FACTORS) return false
  return value.every((one) => isFactor(one) && isFactorName(one.method))
}
