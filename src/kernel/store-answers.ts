import { show } from './check.js'
import type { HitResult, RecordPage } from './ports.js'

/*
 * What a store that lives elsewhere answered. Something else must not let everybody in, nor keep everybody out: it counts as
 * no answer at all. What these return is read once and is ours.
 */

/** @throws TypeError for anything but `count` results */
export function hitResults(found: unknown, count: number): readonly HitResult[] {
  if (!Array.isArray(found) || found.length !== count) throw noAnswer('as many results as hits', found)
  return Array.from(found as unknown[], hitResult)
}

function hitResult(found: unknown): HitResult {
  const { allowed, left, refillMs, retryMs, overflow } = (found ?? {}) as Record<keyof HitResult, unknown>
  if (typeof allowed !== 'boolean') throw noAnswer('allowed: true or false', allowed)
  const result = {
    allowed,
    left: Math.floor(atLeastZero('left', left)),
    refillMs: atLeastZero('refillMs', refillMs),
    retryMs: atLeastZero('retryMs', retryMs),
  }
  return overflow === true ? { ...result, overflow } : result
}

/** A limit that was lowered has less than nothing left. */
function atLeastZero(name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw noAnswer(`${name}: a number`, value)
  return Math.max(value, 0)
}

/** @throws TypeError for anything but `true` and `false` */
export function yesOrNo(found: unknown): boolean {
  if (typeof found !== 'boolean') throw noAnswer('true or false', found)
  return found
}

/** @throws TypeError for anything but `undefined` */
export function nothing(found: unknown): void {
  if (found !== undefined) throw noAnswer('nothing', found)
}

/** @throws TypeError for anything but text and `undefined` */
export function textOrNothing(found: unknown): string | undefined {
  if (found !== undefined && typeof found !== 'string') throw noAnswer('text or nothing', found)
  return found
}

/** @throws TypeError for anything but `count` texts, each of which may be missing */
export function textsOrNothing(found: unknown, count: number): readonly (string | undefined)[] {
  if (!Array.isArray(found) || found.length !== count) throw noAnswer('as many records as keys', found)
  return Array.from(found as unknown[], textOrNothing)
}

/** @throws TypeError for anything but a page of texts */
export function recordPage(found: unknown): RecordPage {
  const { values, cursor } = (found ?? {}) as Record<keyof RecordPage, unknown>
  if (!Array.isArray(values)) throw noAnswer('a page of values', values)
  const texts = Array.from(values as unknown[], (value) => {
    if (typeof value !== 'string') throw noAnswer('values of text', value)
    return value
  })
  const next = textOrNothing(cursor)
  return next === undefined ? { values: texts } : { values: texts, cursor: next }
}

function noAnswer(expected: string, found: unknown): TypeError {
  return new TypeError(`A store must answer with ${expected}, got ${show(found)}`)
}
