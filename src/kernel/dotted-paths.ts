import type { RoutePattern } from './route-pattern.js'
import { addFitting, childOf, type Leaf, type Node } from './route-node.js'

/**
 * Connect hands `/admin.x` to what is mounted at `/admin`, which sees it as `/.x`. So for rules that add, a dot may stand for a
 * slash before it, and `/report.json` for `/report`.
 *
 * @param longest how long a plain segment of a rule is at most
 * @param deepest how many segments the longest rule has
 * @param beforeDots the nodes with something that begins with a dot, in the same segment of a path; what, if it is their own
 */
export function collectDotted<R extends RoutePattern>(
  root: Node<R>,
  method: string,
  segments: readonly string[],
  longest: number,
  deepest: number,
  beforeDots: ReadonlyMap<Node<R>, readonly string[]>,
  found: Leaf<R>[],
): void {
  // Where nothing begins with a dot, plain segments and one dot for each name use up no more of them.
  const mostDots = beforeDots.size === 0 ? longest + deepest : Infinity
  const dots: (number[] | undefined)[] = []
  const places: (Map<Node<R>, Place> | undefined)[] = []

  /** The segment at `at`, from its dot of this number on; -1: all of it. */
  const visit = (node: Node<R>, at: number, dot: number): void => {
    addFitting(node.rests, method, found)
    const segment = segments[at]
    if (segment === undefined) return addFitting(node.ends, method, found)
    if (dot >= 0 && at === segments.length - 1) addFitting(node.ends, method, found)

    const here = (dots[at] ??= dotsOf(segment, mostDots))
    if (dot < 0) visitPlain(node, at, segment, here)
    else visitAfterDot(node, at, dot, segment, here)
    if (node.param === undefined) return
    // What follows a name is the same wherever the name began: however many dots, each is visited once for each node.
    const known = (places[at] ??= new Map<Node<R>, Place>())
    const place = known.get(node) ?? { end: here.length }
    known.set(node, place)
    if (place.end === here.length) visit(node.param, at + 1, -1)
    const { end } = place
    place.end = Math.min(end, dot + 1)
    // Where nothing begins with a dot, whatever follows one of them follows the first as well.
    const last = beforeDots.has(node.param) ? end : Math.min(end, dot + 2)
    for (let i = dot + 1; i < last; i++) visit(node.param, at, i)
  }

  const visitPlain = (node: Node<R>, at: number, segment: string, here: readonly number[]): void => {
    const child = segment.length > longest ? undefined : childOf(node, segment)
    if (child !== undefined) visit(child, at + 1, -1)
    for (let i = 0; i < here.length && here[i]! <= longest; i++) {
      const part = childOf(node, segment.slice(0, here[i]))
      if (part !== undefined) visit(part, at, i)
    }
  }

  const visitAfterDot = (
    node: Node<R>,
    at: number,
    dot: number,
    segment: string,
    here: readonly number[],
  ): void => {
    for (const name of beforeDots.get(node) ?? NO_NAMES) {
      const start = here[dot]!
      if (!segment.startsWith(name, start)) continue
      const end = start + name.length
      if (end === segment.length) visit(childOf(node, name)!, at + 1, -1)
      else if (segment[end] === '.') visit(childOf(node, name)!, at, here.indexOf(end, dot))
    }
  }
  visit(root, 0, -1)
}

const NO_NAMES: readonly string[] = []

/**
 * The nodes of which a child begins with a dot, each with those children, and those from which a name leads to such a node. No
 * dot leads to the root.
 */
export function nodesBeforeDots<R extends RoutePattern>(root: Node<R>): Map<Node<R>, readonly string[]> {
  const found = new Map<Node<R>, readonly string[]>()
  const look = (node: Node<R>): void => {
    const { name, next, statics, param } = node
    const children = name === undefined ? [...(statics ?? [])] : [[name, next!] as const]
    for (const [, child] of children) look(child)
    if (param !== undefined) look(param)
    const names = children.map(([text]) => text).filter((text) => text.startsWith('.'))
    if (names.length > 0 || (param !== undefined && found.has(param))) found.set(node, names)
  }
  look(root)
  found.delete(root)
  return found
}

/** All dots of this segment from this one on have been visited as the end of a name. */
interface Place {
  end: number
}

/** Where the first dots are that something precedes. */
function dotsOf(segment: string, most: number): number[] {
  const dots: number[] = []
  for (let at = segment.indexOf('.', 1); at !== -1 && dots.length < most; at = segment.indexOf('.', at + 1))
    dots.push(at)
  return dots
}
