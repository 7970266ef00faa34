import { ANY, ONE, parsePath, type Segment } from '../../src/data/mask-path.js'

/** What `mask` must do, said as plainly as possible and with no thought of speed: for JSON data and the style `redact`. */
export function referenceMask(paths: readonly string[], value: unknown): unknown {
  const patterns = paths.map((path) => parsePath('mask', path))
  return masked(value, [])

  function masked(node: unknown, location: readonly Step[]): unknown {
    if (Array.isArray(node)) return node.map((element, i) => masked(element, [...location, i]))
    if (patterns.some((pattern) => leadsTo(pattern, location))) return '[redacted]'
    if (typeof node !== 'object' || node === null) return node
    return Object.fromEntries(
      Object.entries(node).map(([key, member]) => [key, masked(member, [...location, key])]),
    )
  }
}

/** A key of an object, or a position in an array. */
export type Step = string | number

/** Whether a pattern ends at a location; what lies in an array that it ends at counts too. */
export function leadsTo(pattern: readonly Segment[], location: readonly Step[]): boolean {
  const [segment, ...rest] = pattern
  const [step, ...further] = location
  if (segment === undefined) return location.every((one) => typeof one === 'number')
  if (segment === ANY) return leadsTo(rest, location) || (step !== undefined && leadsTo(pattern, further))
  if (step === undefined) return false
  if ((segment === ONE || segment === String(step)) && leadsTo(rest, further)) return true
  return typeof step === 'number' && leadsTo(pattern, further)
}
