import { METHODS } from 'node:http'
import { quoted } from './check.js'
import { ConfigError } from './config-error.js'

/** Which requests are meant: a method and the parts of a path. */
export interface Requests {
  /** Upper case; `*` fits every method. */
  readonly method: string
  /** The path's parts: `users`, `:id`, and at the end possibly `*`, which fits any rest. */
  readonly segments: readonly string[]
}

/** A pattern of `routes`, parsed: `GET /users/:id`, `* /admin/*`. */
export interface RoutePattern extends Requests {
  readonly pattern: string
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
  if (method === 'TRACE' || method === 'CONNECT') throw wrong(`names ${method}, which no API answers`)
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

/** Plain text before `:name` before `*`, from the left; then a named method before `*`. Whatever is wider comes later. */
export function bySpecificity(a: Requests, b: Requests): number {
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
  return isName(segment) ? 1 : 2
}

export const isName = (segment: string): boolean => segment.startsWith(':')

export const hasRest = ({ segments }: Requests): boolean => segments.at(-1) === '*'

/** Without the `*` at the end. */
export const fixed = (segments: readonly string[]): readonly string[] =>
  segments.at(-1) === '*' ? segments.slice(0, -1) : segments

/** What fits both of two patterns that some request fits, spelled as the first one is. */
export function meet(a: Requests, b: Requests): Requests {
  const [one, other] = [fixed(a.segments), fixed(b.segments)]
  const segments = Array.from({ length: Math.max(one.length, other.length) }, (_, i) => {
    const [mine, theirs] = [one[i], other[i]]
    return mine === undefined || (theirs !== undefined && isName(mine) && !isName(theirs)) ? theirs! : mine
  })
  if (hasRest(a) && hasRest(b)) segments.push('*')
  return { method: a.method === '*' ? b.method : a.method, segments }
}

/** The same for two patterns that fit the same requests. */
export function keyOf({ method, segments }: Requests): string {
  return `${method} /${segments.map((segment) => (isName(segment) ? ':' : segment.toLowerCase())).join('/')}`
}
