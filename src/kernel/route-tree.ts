import { ConfigError } from './config-error.js'
import { collectDotted, nodesBeforeDots } from './dotted-paths.js'
import { fixed, hasRest, isName, type Requests, type RoutePattern } from './route-pattern.js'
import {
  addChild,
  addFitting,
  childOf,
  inOrder,
  newNode,
  type Fit,
  type Leaf,
  type Node,
} from './route-node.js'

/** Rules by the parts of their paths. */
export class RouteTree<R extends RoutePattern> {
  readonly root = newNode<R>()
  /** More segments of a path than these lead nowhere else. */
  readonly mostSegments: number
  /** How long a plain segment of a rule is at most; a name counts with its colon. */
  readonly longest: number
  private readonly leaves: ReadonlyMap<R, Leaf<R>>
  private readonly beforeDots: ReadonlyMap<Node<R>, readonly string[]>

  /** @throws ConfigError if two rules fit the same requests equally well */
  constructor(rules: readonly R[]) {
    this.leaves = new Map(rules.map((rule) => [rule, plant(this.root, rule)]))
    this.longest = Math.max(0, ...rules.flatMap(({ segments }) => segments.map(({ length }) => length)))
    this.mostSegments = 2 + Math.max(0, ...rules.map(({ segments }) => segments.length))
    this.beforeDots = nodesBeforeDots(this.root)
    for (const [rule, leaf] of this.leaves) {
      leaf.exact = { exact: rule, fits: this.containing(rule) }
      leaf.width = leaf.exact.fits.length
      leaf.exactDotted = leaf.exact
      // Without a dot, no segment ends at one.
      if (!rule.segments.some((segment) => segment.includes('.'))) continue
      const fits = this.containing(rule, true)
      if (fits.length > leaf.width) leaf.exactDotted = { exact: rule, fits }
    }
  }

  /** What fits a request that fits `rule` letter by letter; the same object for both, unless dots make a difference. */
  fitOf(rule: R, dotted = false): Fit<R> {
    const leaf = this.leaves.get(rule)!
    return dotted ? leaf.exactDotted : leaf.exact
  }

  /** Adds to `found` whatever fits a path of these segments, which are in lower case. */
  collect(method: string, segments: readonly string[], found: Leaf<R>[]): void {
    collect(this.root, segments, 0, method, found)
  }

  /** The same for a router that may end a segment at any of its dots. */
  collectDotted(method: string, segments: readonly string[], found: Leaf<R>[]): void {
    collectDotted(this.root, method, segments, this.longest, this.mostSegments, this.beforeDots, found)
  }

  /**
   * The rules that fit whatever fits `requests`, itself included, the most specific one first.
   *
   * @param dotted also those that fit only where a segment may end at a dot
   */
  containing(requests: Requests, dotted = false): R[] {
    const segments = lowerCase(fixed(requests.segments))
    const whole: Leaf<R>[] = []
    const byDots: Leaf<R>[] = []
    this.collect(requests.method, segments, whole)
    if (dotted) this.collectDotted(requests.method, segments, byDots)
    const rules = inOrder(whole, byDots).map(({ rule }) => rule)
    return hasRest(requests) ? rules.filter(hasRest) : rules
  }

  /** The rules that fit something that `requests` fits as well. */
  overlapping({ method, segments }: Requests): R[] {
    const found: Leaf<R>[] = []
    overlap(this.root, lowerCase(segments), 0, found)
    const rules = found.map(({ rule }) => rule)
    return rules.filter((rule) => method === '*' || rule.method === '*' || rule.method === method)
  }
}

function plant<R extends RoutePattern>(root: Node<R>, rule: R): Leaf<R> {
  let node = root
  let isLower = true
  for (const segment of fixed(rule.segments)) {
    if (isName(segment)) {
      node = node.param ??= newNode()
      continue
    }
    const key = segment.toLowerCase()
    if (key !== segment) isLower = false
    node = childOf(node, key) ?? addChild(node, key)
  }
  const place = hasRest(rule) ? 'rests' : 'ends'
  const twin = node[place].find(({ rule: { method } }) => method === rule.method)
  if (twin !== undefined) {
    throw new ConfigError(
      `routes: '${twin.rule.pattern}' and '${rule.pattern}' fit the same requests; merge them`,
      'equal-routes',
    )
  }
  const exact = { exact: rule, fits: [rule] }
  const leaf: Leaf<R> = { rule, method: rule.method, width: 1, exact, exactDotted: exact, isLower }
  node[place] = [...node[place], leaf]
  return leaf
}

/** Its depth is that of the rules, not of the request. */
function collect<R extends RoutePattern>(
  node: Node<R>,
  segments: readonly string[],
  at: number,
  method: string,
  found: Leaf<R>[],
): void {
  addFitting(node.rests, method, found)
  if (at === segments.length) return addFitting(node.ends, method, found)
  const child = childOf(node, segments[at]!)
  if (child !== undefined) collect(child, segments, at + 1, method, found)
  if (node.param !== undefined) collect(node.param, segments, at + 1, method, found)
}

function overlap<R extends RoutePattern>(
  node: Node<R>,
  segments: readonly string[],
  at: number,
  found: Leaf<R>[],
): void {
  found.push(...node.rests)
  const segment = segments[at]
  if (segment === undefined || segment === '*') found.push(...node.ends)
  if (segment === undefined) return
  const next = segment === '*' ? at : at + 1
  for (const child of childrenFor(node, segment)) overlap(child, segments, next, found)
}

function childrenFor<R extends RoutePattern>(node: Node<R>, segment: string): Node<R>[] {
  const isOpen = segment === '*' || isName(segment)
  const plain = isOpen ? [node.next, ...(node.statics?.values() ?? [])] : [childOf(node, segment)]
  return [...plain, node.param].filter((child) => child !== undefined)
}

function lowerCase(segments: readonly string[]): string[] {
  return segments.map((segment) => segment.toLowerCase())
}
