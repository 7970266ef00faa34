import { bySpecificity, type RoutePattern } from './route-pattern.js'

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
  /** That of the rule, and of how many rules `exact` speaks: at hand, because among ten thousand rules each look elsewhere costs. */
  readonly method: string
  width: number
  /** The answer where it fits letter by letter, and besides it only wider rules, all of which fit whatever it fits. */
  exact: Fit<R>
  /** The same for a router that ends segments at dots; mostly the same object. */
  exactDotted: Fit<R>
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

export function newNode<R extends RoutePattern>(): Node<R> {
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

export function childOf<R extends RoutePattern>(node: Node<R>, key: string): Node<R> | undefined {
  return node.name === key ? node.next : node.statics?.get(key)
}

export function addChild<R extends RoutePattern>(node: Node<R>, key: string): Node<R> {
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

export function addFitting<R extends RoutePattern>(
  leaves: readonly Leaf<R>[],
  method: string,
  found: Leaf<R>[],
): void {
  for (const leaf of leaves) if (leaf.method === method || leaf.method === '*') found.push(leaf)
}

/** Each once, the most specific one first; what fits only by its dots comes behind all others. */
export function inOrder<R extends RoutePattern>(
  whole: readonly Leaf<R>[],
  dotted: readonly Leaf<R>[],
): Leaf<R>[] {
  const first = new Set(whole)
  const second = new Set(dotted.filter((leaf) => !first.has(leaf)))
  return [first, second].flatMap((leaves) => [...leaves].sort((a, b) => bySpecificity(a.rule, b.rule)))
}
