import { endOfLower } from '../lib/path-spelling.js'
import { bySpecificity, type RoutePattern } from './route-pattern.js'
import type { Leaf, Node } from './route-node.js'

/**
 * The way of nearly all requests through the tree: their path has one reading and no capital letters, so that it is walked as it is.
 * Whether it is such a path is looked at on the way, and only where no rule says what must stand there. If it is not, some rules are
 * not found, but none is exact.
 */
export class RouteWalk<R extends RoutePattern> {
  /** How many rules were found. */
  count = 0
  /** The most specific one. */
  leaf: Leaf<R> | undefined = undefined
  private fitsLetters = false
  /** How much of the path is known to be such a path; if it is stuck, the segment behind is none of such a path. */
  private known = 0
  private isStuck = false

  /**
   * @param path begins with a slash
   * @param longest how long a plain segment of a rule is at most
   */
  constructor(
    private readonly path: string,
    private readonly method: string,
    private readonly longest: number,
  ) {}

  /** Whether `leaf` fits letter by letter, and besides it only what is wider. */
  get isExact(): boolean {
    return this.fitsLetters && this.count === this.leaf!.width
  }

  /** @param at where the slash before the next segment stands, or the end of the path */
  from(node: Node<R>, at: number): void {
    const { path } = this
    const { name, next, statics, param, ends, rests } = node
    if (at > this.known) this.known = at
    if (at === path.length) {
      // A `*` stands for something.
      if (rests.length > 0) this.add(rests, false)
      return this.add(ends, true)
    }
    if (rests.length > 0) this.add(rests, this.knowRest())
    if (name !== undefined) {
      const end = at + 1 + name.length
      if (path.startsWith(name, at + 1) && (end === path.length || path.charCodeAt(end) === SLASH))
        this.from(next!, end)
    } else if (statics !== undefined) {
      const end = endOf(path, at)
      const child = end - at > this.longest + 1 ? undefined : statics.get(path.slice(at + 1, end))
      if (child !== undefined) this.from(child, end)
    }
    if (param !== undefined) {
      const end = this.know(at)
      if (end !== -1) this.from(param, end)
    }
  }

  private knowRest(): boolean {
    const { length } = this.path
    while (this.known < length) {
      const end = this.know(this.known)
      if (end === -1) return false
      this.known = end
    }
    return true
  }

  /** Where the segment behind the slash at `at` ends; -1 if it is none of such a path. However many rules ask, it is read once. */
  private know(at: number): number {
    if (at < this.known) return endOf(this.path, at)
    if (this.isStuck) return -1
    const end = endOfLower(this.path, at + 1)
    if (end === -1) this.isStuck = true
    return end
  }

  private add(leaves: readonly Leaf<R>[], isWhole: boolean): void {
    const { method } = this
    for (const leaf of leaves) {
      if (leaf.method !== method && leaf.method !== '*') continue
      this.count++
      if (this.leaf !== undefined && bySpecificity(this.leaf.rule, leaf.rule) < 0) continue
      this.leaf = leaf
      this.fitsLetters = leaf.isLower && isWhole
    }
  }
}

const SLASH = 0x2f

/** Where the segment behind the slash at `at` ends. */
function endOf(path: string, at: number): number {
  const slash = path.indexOf('/', at + 1)
  return slash === -1 ? path.length : slash
}
