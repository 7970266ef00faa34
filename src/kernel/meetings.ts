import { keyOf, meet, type Requests, type RoutePattern } from './route-pattern.js'
import type { RouteTree } from './route-tree.js'

/** Whatever may be asked. */
export const EVERYTHING: Requests = { method: '*', segments: ['*'] }

/**
 * All kinds of requests that rules tell apart within `from`: itself, and wherever it meets rules, and these meet others. The
 * rules that fit one such request and no narrower kind are those that contain it, so no combination of rules is missing.
 *
 * @param limit of rules that cross one another, there may be exponentially many kinds; then only so many are found
 */
export function meetings<R extends RoutePattern>(
  tree: RouteTree<R>,
  from: Requests,
  limit: number,
): Requests[] {
  const found = new Map([[keyOf(from), from]])
  // What is added on the way is visited too.
  for (const one of found.values()) {
    for (const rule of tree.overlapping(one)) {
      if (found.size >= limit) return [...found.values()]
      const meeting = meet(one, rule)
      const key = keyOf(meeting)
      if (!found.has(key)) found.set(key, meeting)
    }
  }
  return [...found.values()]
}
