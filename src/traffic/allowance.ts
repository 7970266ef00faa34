import { slot } from '../kernel/context.js'

/** What a caller has left under the limit that is nearest to its end. */
export interface Allowance {
  /** Name of the limit. */
  readonly name: string
  readonly limit: number
  /** Units left. */
  readonly left: number
  /** When more units will be there, in milliseconds since 1970. */
  readonly resetAt: number
}

/**
 * What the caller has left, for handlers that want to show it: of all limits that counted the request so far, the one with
 * the fewest units left.
 *
 * @example
 * contextOf(req)?.get(allowance)?.left
 */
export const allowance = slot<Allowance>('traffic.allowance')
