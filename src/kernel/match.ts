import { METHODS } from 'node:http'
import { LOWER, ODD, spellingOf } from '../lib/path-spelling.js'
import { quoted } from './check.js'
import { ConfigError } from './config-error.js'

/** A pattern of `routes`, parsed: `GET /users/:id`, `* /admin/*`. */
export interface RoutePattern {
  readonly pattern: string
  /** Upper case; `*` fits every method. */
  readonly method: string
  /** The path's parts: `users`, `:id`, and at the end possibly `*`, which fits any rest. */
  readonly segments: readonly string[]
}

/** What fits a request. `exact`: the best fit, letter by letter; only it may take protection away. */
export interface Fit<R extends RoutePattern> {
  readonly exact: R | undefined
  /** All that fit as loosely as a router would, best first. With an `exact` fit, just that one. */
  readonly fits: readonly R[]
}

/** A rule where the tree ends. */
interface Leaf<R extends RoutePattern> {
  readonly rule: R
  /** The answer where it alone fits, letter by letter. */
  readonly exact: Fit<R>
  /** Its plain segments are as the tree has them, so a path in lower case that leads here fits them letter by letter. */
  readonly isLower: boolean
}

interface Node<R extends RoutePattern> {
  /** One plain segment that leads on, as most nodes have it; more of them are in `statics`. */
  name: string | undefined
  next: Node<R> | undefined
  statics: Map<string, Node<R>> | undefined
  param: Node<R> | undefined
  /** Rules whose path ends here, and rules that take whatever follows. */
  ends: readonly Leaf<R>[]
  rests: readonly Leaf<R>[]
}

/**
 * @throws ConfigError unless `pattern` is a method and a path of plain segments, `:name` segments and at most one `*` at
 * the end
 */
export function parsePattern(pattern: string): RoutePattern {
  const wrong = (why: string): ConfigError =>
    new ConfigError(`routes: ${quoted(pattern)} ${why}; write it like 'POST /orders/:id'`, 'invalid-route')
  const [method, path, ...rest] = pattern.split(' ')
  if (method === undefined || path === undefined || rest.length > 0) throw wrong('is no method and path')
  if (method === 'HEAD') throw wrong('names HEAD, which takes the rule of GET')
  if (method === 'OPTIONS') throw wrong('names OPTIONS, which always takes the general rules')
  if (method !== '*' && !METHODS.includes(method)) throw wrong('names an unknown method')
  if (!path.startsWith('/')) throw wrong('has a path that does not begin with a slash')
  if (path.length > 1 && path.endsWith('/')) throw wrong('ends with a slash')

  const segments = path === '/' ? [] : path.slice(1).split('/')
  segments.forEach((segment, i) => {
    if (segment.startsWith('*') && i === segments.length - 1 && /^\*\w*$/.test(segment)) return
    if (!/^(?::\w+|[\w.~!$&'@,=-]+)$/.test(segment) || /^\.{1,2}$/.test(segment)) {
      throw wrong(`has the segment ${quoted(segment)}, which is neither plain text nor a :name`)
    }
  })
  return { pattern, method, segments: segments.map((segment) => (segment.startsWith('*') ? '*' : segment)) }
}

/**
 * Matches requests to rules. A path that is read differently here and by the application's router would be a bypass, so
 * a rule that adds protection fits whatever a router might fold together (case, trailing and double slashes, one level
 * of percent-encoding), and only a letter-by-letter fit is `exact`.
 *
 * @throws ConfigError if two rules fit the same requests equally well
 */
export function compileRoutes<R extends RoutePattern>(
  rules: readonly R[],
): (method: string, path: string) => Fit<R> {
  const root = newNode<R>()
  const exactly = new Map(rules.map((rule): [R, Fit<R>] => [rule, { exact: rule, fits: [rule] }]))
  for (const rule of rules) plant(root, exactly.get(rule)!, rule)

  return (method, path) => {
    if (rules.length === 0) return NOTHING
    const asked = method === 'HEAD' ? 'GET' : method
    const spelling = spellingOf(path)
    if (spelling === LOWER && method !== 'OPTIONS') {
      const found = new Found<R>()
      walk(root, path, path === '/' ? 1 : 0, asked, found)
      if (found.count === 0) return NOTHING
      if (found.count === 1 && found.isExact) return found.leaf!.exact
    }

    const canonical = spelling !== ODD
    const found: R[] = []
    const segments = canonical ? split(path) : []
    if (!canonical) for (const reading of readings(path)) collect(root, reading, 0, asked, found)
    else collect(root, spelling === LOWER ? segments : split(path.toLowerCase()), 0, asked, found)
    if (found.length === 0) return NOTHING

    const fits = found.length > 1 ? [...new Set(found)].sort(bySpecificity) : found
    const winner = fits[0]!
    // What `*` adds holds for OPTIONS too; what it takes away was hardly meant for it.
    return canonical && method !== 'OPTIONS' && fitsLetterByLetter(winner, segments)
      ? exactly.get(winner)!
      : { exact: undefined, fits }
  }
}

/** What was found on the way through the tree; of one rule, also whether it fits letter by letter. */
class Found<R extends RoutePattern> {
  count = 0
  leaf: Leaf<R> | undefined = undefined
  isExact = false

  add(leaves: readonly Leaf<R>[], method: string, isWhole: boolean): void {
    for (const leaf of leaves) {
      if (leaf.rule.method !== method && leaf.rule.method !== '*') continue
      this.count++
      this.leaf = leaf
      this.isExact = leaf.isLower && isWhole
    }
  }
}

/**
 * The way of nearly all requests: their path has one reading and no capital letters, so that it is walked as it is.
 *
 * @param at where the slash before the next segment stands, or the end of the path
 */
function walk<R extends RoutePattern>(
  node: Node<R>,
  path: string,
  at: number,
  method: string,
  found: Found<R>,
): void {
  if (at === path.length) {
    // A `*` stands for something.
    found.add(node.rests, method, false)
    return found.add(node.ends, method, true)
  }
  found.add(node.rests, method, true)
  const slash = path.indexOf('/', at + 1)
  const end = slash === -1 ? path.length : slash
  const { name, next, statics, param } = node
  if (name !== undefined && end - at - 1 === name.length && path.startsWith(name, at + 1)) {
    walk(next!, path, end, method, found)
  } else {
    const child = statics?.get(path.slice(at + 1, end))
    if (child !== undefined) walk(child, path, end, method, found)
  }
  if (param !== undefined) walk(param, path, end, method, found)
}

/** Reads the values of a rule's `:name` segments from a path, decoded once. */
export function paramsReader({ segments }: RoutePattern): (path: string) => Record<string, string> {
  const names = segments.map((segment) => (segment.startsWith(':') ? segment.slice(1) : undefined))
  return (path) => {
    const values = split(path)
    const params = Object.create(null) as Record<string, string>
    for (let i = 0; i < names.length; i++) {
      const name = names[i]
      if (name !== undefined) params[name] = decoded(values[i] ?? '')
    }
    return params
  }
}

const NOTHING: Fit<never> = { exact: undefined, fits: [] }

/** Plain text before `:name` before `*`, from the left; then a named method before `*`. */
export function bySpecificity(a: RoutePattern, b: RoutePattern): number {
  const length = Math.max(a.segments.length, b.segments.length)
  for (let i = 0; i < length; i++) {
    const difference = rank(b.segments[i]) - rank(a.segments[i])
    if (difference !== 0) return difference
  }
  return Number(a.method === '*') - Number(b.method === '*')
}

function rank(segment: string | undefined): number {
  if (segment === undefined) return 3
  if (segment === '*') return 0
  return segment.startsWith(':') ? 1 : 2
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

function plant<R extends RoutePattern>(root: Node<R>, exact: Fit<R>, rule: R): void {
  let node = root
  let isLower = true
  for (const segment of rule.segments) {
    if (segment === '*') break
    if (segment.startsWith(':')) {
      node = node.param ??= newNode()
      continue
    }
    const key = segment.toLowerCase()
    if (key !== segment) isLower = false
    node = childOf(node, key) ?? addChild(node, key)
  }
  const place = rule.segments.at(-1) === '*' ? 'rests' : 'ends'
  const twin = node[place].find(({ rule: { method } }) => method === rule.method)
  if (twin !== undefined) {
    throw new ConfigError(
      `routes: '${twin.rule.pattern}' and '${rule.pattern}' fit the same requests; merge them`,
      'equal-routes',
    )
  }
  node[place] = [...node[place], { rule, exact, isLower }]
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
  found: R[],
): void {
  addFitting(node.rests, method, found)
  if (at === segments.length) return addFitting(node.ends, method, found)
  const child = childOf(node, segments[at]!)
  if (child !== undefined) collect(child, segments, at + 1, method, found)
  if (node.param !== undefined) collect(node.param, segments, at + 1, method, found)
}

function addFitting<R extends RoutePattern>(leaves: readonly Leaf<R>[], method: string, found: R[]): void {
  for (const { rule } of leaves) if (rule.method === method || rule.method === '*') found.push(rule)
}

function fitsLetterByLetter({ segments }: RoutePattern, parts: readonly string[]): boolean {
  if (segments.at(-1) === '*' && parts.length < segments.length) return false
  return segments.every((segment, i) => segment === '*' || segment.startsWith(':') || segment === parts[i])
}

function split(path: string): string[] {
  return path === '/' ? [] : path.slice(1).split('/')
}

/** All the ways in which a router may take the path apart. Express cuts it at `#` and reads a backslash as a slash then, and drops white space at its ends. */
function readings(target: string): string[][] {
  const path = target.startsWith('/') ? target : pathOfAbsoluteForm(target)
  const [beforeFragment = ''] = path.split('#', 1)
  return [...new Set([path, path.trim(), beforeFragment, beforeFragment.replaceAll('\\', '/')])].map(
    foldedSegments,
  )
}

function foldedSegments(path: string): string[] {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => decoded(segment).toLowerCase())
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
