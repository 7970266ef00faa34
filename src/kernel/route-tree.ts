import { ConfigError } from './config-error.js'
import { bySpecificity, fixed, hasRest, isName, type Requests, type RoutePattern } from './route-pattern.js'

/** What fits a request. */
export interface Fit<R extends RoutePattern> {
  /**
   * Only it may take protection away: it fits letter by letter, and all others that fit are wider. Where two fit of which
   * neither contains the other, nobody wrote down what holds for the requests that both fit.
   */
  readonly exact: R | undefined
  /** All that fit as loosely as a router would, the most specific one first. */
  readonly fits: readonly R[]
}

/** A rule where the tree ends. */
export interface Leaf<R extends RoutePattern> {
  readonly rule: R
  /** The answer where it fits letter by letter, and besides it only wider rules, all of which fit whatever it fits. */
  exact: Fit<R>
  /** Its plain segments are as the tree has them, so a path in lower case that leads here fits them letter by letter. */
  readonly isLower: boolean
}

export interface Node<R extends RoutePattern> {
  /** One plain segment that leads on, as most nodes have it; more of them are in `statics`. */
  name: string | undefined
  next: Node<R> | undefined
  statics: Map<string, Node<R>> | undefined
  param: Node<R> | undefined
  /** Rules whose path ends here, and rules that take whatever follows. */
  ends: readonly Leaf<R>[]
  rests: readonly Leaf<R>[]
}

/** Rules by the parts of their paths. */
export class RouteTree<R extends RoutePattern> {
  readonly root = newNode<R>()

  /** @throws ConfigError if two rules fit the same requests equally well */
  constructor(rules: readonly R[]) {
    const leaves = rules.map((rule) => plant(this.root, rule))
    for (const leaf of leaves) leaf.exact = { exact: leaf.rule, fits: this.containing(leaf.rule) }
  }

  /** Adds to `found` whatever fits a path of these segments, which are in lower case. */
  collect(method: string, segments: readonly string[], found: Leaf<R>[]): void {
    collect(this.root, segments, 0, method, found)
  }

  /** The rules that fit whatever fits `requests`, itself included, the most specific one first. */
  containing(requests: Requests): R[] {
    const found: Leaf<R>[] = []
    this.collect(requests.method, lowerCase(fixed(requests.segments)), found)
    const rules = found.map(({ rule }) => rule)
    return (hasRest(requests) ? rules.filter(hasRest) : rules).sort(bySpecificity)
  }

  /** The rules that fit something that `requests` fits as well. */
  overlapping({ method, segments }: Requests): R[] {
    const found: Leaf<R>[] = []
    overlap(this.root, lowerCase(segments), 0, found)
    const rules = found.map(({ rule }) => rule)
    return rules.filter((rule) => method === '*' || rule.method === '*' || rule.method === method)
  }
}

function newNode<R extends RoutePattern>(): Node<R> {
  return {
    name: undefined,
    next: undefined,
    statics: undefined,
    param: undefined,
    ends: NO_LEAVES,
    rests: NO_LEAVES,
  }
}

const NO_LEAVES: readonly never[] = []

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
  const leaf: Leaf<R> = { rule, exact: { exact: rule, fits: [rule] }, isLower }
  node[place] = [...node[place], leaf]
  return leaf
}

function childOf<R extends RoutePattern>(node: Node<R>, key: string): Node<R> | undefined {
  return node.name === key ? node.next : node.statics?.get(key)
}

function addChild<R extends RoutePattern>(node: Node<R>, key: string): Node<R> {
  const child = newNode<R>()
  if (node.name === undefined && node.statics === undefined) {
    node.name = key
    node.next = child
    return child
  }
  node.statics ??= new Map()
  if (node.name !== undefined) node.statics.set(node.name, node.next!)
  node.name = node.next = undefined
  node.statics.set(key, child)
  return child
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

function addFitting<R extends RoutePattern>(
  leaves: readonly Leaf<R>[],
  method: string,
  found: Leaf<R>[],
): void {
  for (const leaf of leaves) if (leaf.rule.method === method || leaf.rule.method === '*') found.push(leaf)
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
