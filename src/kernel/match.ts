import { BareRecord } from '../lib/bare.js'
import { LOWER, ODD, spellingOf } from '../lib/path-spelling.js'
import { hasRest, isName, type RoutePattern } from './route-pattern.js'
import { inOrder, type Fit, type Leaf } from './route-node.js'
import { RouteTree } from './route-tree.js'
import { RouteWalk } from './route-walk.js'

export type { Fit } from './route-node.js'

/**
 * Matches requests to rules. A path that is read differently here and by the application's router would be a bypass, so
 * a rule that adds protection fits whatever a router might fold together (case, trailing and double slashes, one level
 * of percent-encoding), and only a letter-by-letter fit is `exact`. `dotted`: the router may be one that ends segments at
 * dots, so they are folded too.
 *
 * @throws ConfigError if two rules fit the same requests equally well
 */
export function compileRoutes<R extends RoutePattern>(
  rules: readonly R[],
  tree = new RouteTree(rules),
): (method: string, path: string, dotted?: boolean) => Fit<R> {
  const { root } = tree

  return (method, path, dotted = false) => {
    if (rules.length === 0) return NOTHING
    const asked = method === 'HEAD' ? 'GET' : method
    const walk =
      method === 'OPTIONS' || !path.startsWith('/') || (dotted && path.includes('.'))
        ? undefined
        : new RouteWalk<R>(path, asked, tree.longest)
    if (walk !== undefined) {
      walk.from(root, path === '/' ? 1 : 0)
      if (walk.isExact) return walk.leaf!.exact
    }

    const spelling = spellingOf(path)
    if (walk?.count === 0 && spelling === LOWER) return NOTHING
    const hasDots = dotted && (spelling === ODD || path.includes('.'))
    const canonical = spelling !== ODD
    const most = tree.mostSegments
    const segments = canonical ? split(path, most) : []
    const folded = canonical
      ? [spelling === LOWER ? segments : split(path.toLowerCase(), most)]
      : readings(path, most)
    const whole: Leaf<R>[] = []
    const dottedOnes: Leaf<R>[] = []
    for (const reading of folded) {
      tree.collect(asked, reading, whole)
      if (hasDots) tree.collectDotted(asked, reading, dottedOnes)
    }
    const leaves = inOrder(whole, dottedOnes)
    if (leaves.length === 0) return NOTHING

    const exact = dotted ? leaves[0]!.exactDotted : leaves[0]!.exact
    // What `*` adds holds for OPTIONS too; what it takes away was hardly meant for it.
    return canonical &&
      method !== 'OPTIONS' &&
      leaves.length === exact.fits.length &&
      fitsLetterByLetter(leaves[0]!.rule, segments)
      ? exact
      : { exact: undefined, fits: leaves.map(({ rule }) => rule) }
  }
}

/** Reads the values of a rule's `:name` segments from a path, decoded once. */
export function paramsReader({ segments }: RoutePattern): (path: string) => Record<string, string> {
  const names = segments.map((segment) => (isName(segment) ? segment.slice(1) : undefined))
  const count = names.findLastIndex((name) => name !== undefined) + 1
  return (path) => {
    const params = new BareRecord<string>()
    let start = 1
    for (let i = 0; i < count; i++) {
      const slash = path.indexOf('/', start)
      const end = slash === -1 ? path.length : slash
      const name = names[i]
      if (name !== undefined) params[name] = decoded(path.slice(start, end))
      start = end + 1
    }
    return params
  }
}

const NOTHING: Fit<never> = { exact: undefined, fits: [] }

function fitsLetterByLetter(rule: RoutePattern, parts: readonly string[]): boolean {
  const { segments } = rule
  const { length } = parts
  if (hasRest(rule) ? length < segments.length : length !== segments.length) return false
  return segments.every((segment, i) => segment === '*' || isName(segment) || segment === parts[i])
}

function split(path: string, most: number): string[] {
  return path === '/' ? [] : path.slice(1).split('/', most)
}

/** All the ways in which a router may take the path apart. Express cuts it at `#` and reads a backslash as a slash then, and drops white space at its ends. */
function readings(target: string, most: number): string[][] {
  const path = target.startsWith('/') ? target : pathOfAbsoluteForm(target)
  const [beforeFragment = ''] = path.split('#', 1)
  const all = new Set([path, path.trim(), beforeFragment, beforeFragment.replaceAll('\\', '/').trim()])
  return [...all].map((reading) => foldedSegments(reading, most))
}

function foldedSegments(path: string, most: number): string[] {
  const segments: string[] = []
  for (const [segment] of path.matchAll(/[^/]+/g)) {
    if (segments.push(decoded(segment).toLowerCase()) === most) break
  }
  return segments
}

/** `GET http://host/path` is legal HTTP, and Express routes it by its path. */
function pathOfAbsoluteForm(target: string): string {
  const authority = target.indexOf('//')
  const slash = authority === -1 ? -1 : target.indexOf('/', authority + 2)
  return slash === -1 ? '/' : target.slice(slash)
}

function decoded(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
