import { ConfigError } from '../kernel/config-error.js'
import type { Policy } from '../kernel/ports.js'
import type { Limit } from './limit.js'

/** How many limits without a name of their own one process may have. Whoever makes one for each request gets there. */
const MAX_UNNAMED = 100_000

/** Of the process: copies of the package that are loaded side by side number their limits together. */
const NUMBERS = Symbol.for('secure-api.unnamed-limits')

/** Limits that are named after their place, and not by their author. */
const automatic = new WeakSet<object>()

/** The same limit under a name that nobody wrote: it is shown by it, and not told from others by it. */
export function nameAutomatically(limit: Limit, name: string): Limit {
  const named = { ...limit, name }
  automatic.add(named)
  return named
}

export function hasOwnName(limit: Limit): boolean {
  return limit.name !== undefined && !automatic.has(limit)
}

/**
 * The policy of a limit that nobody named, under a name by which a shared store can tell it from all others: made of what
 * it is shown as, of its settings, and of its number among equal ones of this process. Processes that run the same code
 * make their limits in the same order, and so count together.
 *
 * @throws ConfigError if limits are made again and again
 */
export function numbered(policy: Policy): Policy {
  const numbers = numbersOfProcess()
  if (numbers.count >= MAX_UNNAMED) {
    throw new ConfigError(
      `${policy.scope}: this process has made ${MAX_UNNAMED} limits without a name. Make each limit once, at start, and not for a request`,
      'limits-without-end',
    )
  }
  numbers.count++
  const { scope, name, limit, windowMs, algorithm } = policy
  // No name that somebody writes has a quotation mark.
  const kind = `"${name}" ${limit} in ${windowMs} ${algorithm}`
  const number = (numbers.made.get(`${scope} ${kind}`) ?? 0) + 1
  numbers.made.set(`${scope} ${kind}`, number)
  return { ...policy, name: number === 1 ? kind : `${kind} ${number}` }
}

interface Numbers {
  count: number
  readonly made: Map<string, number>
}

function numbersOfProcess(): Numbers {
  const shared = globalThis as unknown as { [NUMBERS]: Numbers | undefined }
  return (shared[NUMBERS] ??= { count: 0, made: new Map() })
}
