import type { RoutePattern } from './route-pattern.js'
import { addFitting, childOf, type Leaf, type Node } from './route-node.js'

/**
 * Connect hands `/admin.x` to what is mounted at `/admin`, which sees it as `/.x`. So for rules that add, a dot may stand for a
 * slash before it, and `/report.json` for `/report`.
 *
 * @param longest how long a plain segment of a rule is at most
 */
export function collectDotted<R extends RoutePattern>(
  root: Node<R>,
  method: string,
  segments: readonly string[],
  longest: number,
  found: Leaf<R>[],
): void {
  const dots = segments.map(dotsOf)
  const places = segments.map(() => new Map<Node<R>, Place>())

  /** The segment at `at`, from its dot of this number on; -1: all of it. */
  const visit = (node: Node<R>, at: number, dot: number): void => {
    addFitting(node.rests, method, found)
    const segment = segments[at]
    if (segment === undefined) return addFitting(node.ends, method, found)
    if (dot >= 0 && at === segments.length - 1) addFitting(node.ends, method, found)

    const here = dots[at]!
    const start = dot < 0 ? 0 : here[dot]!
    const child = childOf(node, segment.slice(start))
    if (child !== undefined) visit(child, at + 1, -1)
    for (let i = dot + 1; i < here.length && here[i]! - start <= longest; i++) {
      const part = childOf(node, segment.slice(start, here[i]))
      if (part !== undefined) visit(part, at, i)
    }
    if (node.param === undefined) return
    // What follows a name is the same wherever the name began: however many dots, each is visited once for each node.
    const place = places[at]!.get(node) ?? { end: here.length }
    places[at]!.set(node, place)
    if (place.end === here.length) visit(node.param, at + 1, -1)
    const { end } = place
    place.end = Math.min(end, dot + 1)
    for (let i = dot + 1; i < end; i++) visit(node.param, at, i)
  }
  visit(root, 0, -1)
}

/** All dots of this segment from this one on have been visited as the end of a name. */
interface Place {
  end: number
}

/** Where dots are that something precedes. */
function dotsOf(segment: string): number[] {
  const dots: number[] = []
  for (let at = segment.indexOf('.', 1); at !== -1; at = segment.indexOf('.', at + 1)) dots.push(at)
  return dots
}
