import { METHODS } from 'node:http'
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

interface Node<R> {
  readonly statics: Map<string, Node<R>>
  param: Node<R> | undefined
  /** Rules whose path ends here, and rules that take whatever follows. */
  readonly ends: R[]
  readonly rests: R[]
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
  for (const rule of rules) plant(root, rule)
  const exactly = new Map(rules.map((rule): [R, Fit<R>] => [rule, { exact: rule, fits: [rule] }]))

  return (method, path) => {
    if (rules.length === 0) return NOTHING
    const asked = method === 'HEAD' ? 'GET' : method
    const canonical = isCanonical(path)
    const found: R[] = []
    const segments = canonical ? split(path) : []
    if (!canonical) for (const reading of readings(path)) collect(root, reading, 0, asked, found)
    else collect(root, UPPER_CASE.test(path) ? split(path.toLowerCase()) : segments, 0, asked, found)
    if (found.length === 0) return NOTHING

    const fits = found.length > 1 ? [...new Set(found)].sort(bySpecificity) : found
    const winner = fits[0]!
    // What `*` adds holds for OPTIONS too; what it takes away was hardly meant for it.
    return canonical && method !== 'OPTIONS' && fitsLetterByLetter(winner, segments)
      ? exactly.get(winner)!
      : { exact: undefined, fits }
  }
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

/** A canonical path is ASCII. */
const UPPER_CASE = /[A-Z]/

const NOTHING: Fit<never> = { exact: undefined, fits: [] }

/** Whether all routers agree on how to read this path. */
export function isCanonical(path: string): boolean {
  return path.startsWith('/') && !/[^!-~]|[%;#\\]|\/\/|[^/]\/$|\/\.{1,2}(?:\/|$)/.test(path)
}

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

function newNode<R>(): Node<R> {
  return { statics: new Map(), param: undefined, ends: [], rests: [] }
}

function plant<R extends RoutePattern>(root: Node<R>, rule: R): void {
  let node = root
  for (const segment of rule.segments) {
    if (segment === '*') break
    if (segment.startsWith(':')) {
      node = node.param ??= newNode()
      continue
    }
    const key = segment.toLowerCase()
    let child = node.statics.get(key)
    if (child === undefined) node.statics.set(key, (child = newNode()))
    node = child
  }
  const leaf = rule.segments.at(-1) === '*' ? node.rests : node.ends
  const twin = leaf.find(({ method }) => method === rule.method)
  if (twin !== undefined) {
    throw new ConfigError(
      `routes: '${twin.pattern}' and '${rule.pattern}' fit the same requests; merge them`,
      'equal-routes',
    )
  }
  leaf.push(rule)
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
  const child = node.statics.get(segments[at]!)
  if (child !== undefined) collect(child, segments, at + 1, method, found)
  if (node.param !== undefined) collect(node.param, segments, at + 1, method, found)
}

function addFitting<R extends RoutePattern>(rules: readonly R[], method: string, found: R[]): void {
  for (const rule of rules) if (rule.method === method || rule.method === '*') found.push(rule)
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
