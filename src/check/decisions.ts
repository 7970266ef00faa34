import type { Fit } from '../kernel/match.js'
import type { RouteRule } from '../plan.js'
import { shown } from './app-walk.js'
import type { GuardMark } from './guard-mark.js'
import { fixed, isName, overlap } from './in-front.js'

export type Match = (method: string, path: string) => Fit<RouteRule>

/** What the rules say about one kind of request that a route answers. */
export interface Case {
  /** As `routes` would take it: `GET /orders/:id`. */
  readonly label: string
  readonly fit: Fit<RouteRule>
}

/** Stands for text that no rule has. */
const SAMPLE = 'x-sample-x'
/** One segment of which nothing is known. No route has such a name. */
const ANY = ':*'

/**
 * All kinds of requests that meet the route, as the rules tell them apart: one for each rule that wins some of them, and
 * one if there are requests that no rule fits.
 */
export function casesOf(
  method: string,
  segments: readonly string[],
  rules: readonly RouteRule[],
  match: Match,
): Case[] {
  const asked = method === 'HEAD' ? 'GET' : method
  const met = rules.filter((rule) => overlap(rule.segments, segments))
  const methods = new Set(asked === '*' ? ['*', ...met.map((rule) => rule.method)] : [asked])
  const cases = new Map<RouteRule | undefined, Case>()
  for (const each of methods) {
    const candidates = met.filter((rule) => rule.method === '*' || rule.method === each)
    for (const length of lengthsOf(segments, candidates)) {
      for (const rule of [undefined, ...candidates]) {
        const known = cases.get(rule)
        if (known !== undefined && known.fit.exact === rule) continue
        const path = meeting(segments, rule?.segments, length)
        if (path === undefined) continue
        const fit = match(each, shown(path.map((segment) => (isName(segment) ? SAMPLE : segment))))
        // Where a rest is empty, the rule fits no longer letter by letter, and others may add to it.
        if (fit.fits[0] !== rule || (known !== undefined && fit.exact === undefined)) continue
        const label = `${each === asked ? method : each} ${rule === undefined ? shown(segments) : named(path)}`
        cases.set(rule, { label, fit })
      }
    }
  }
  return [...cases.values()]
}

/** How many segments a path can have, as far as it makes a difference; without any rest last. */
function lengthsOf(segments: readonly string[], rules: readonly RouteRule[]): number[] {
  const shortest = fixed(segments).length
  if (shortest === segments.length) return [shortest]
  const longest = Math.max(shortest, ...rules.map((rule) => rule.segments.length)) + 1
  return [...Array.from({ length: longest - shortest }, (_, i) => shortest + 1 + i), shortest]
}

/** A path of this length that fits the route, and the rule if there is one. */
function meeting(
  route: readonly string[],
  rule: readonly string[] | undefined,
  length: number,
): string[] | undefined {
  const wanted = rule === undefined ? [] : fixed(rule)
  if (
    rule !== undefined &&
    (wanted.length === rule.length ? length !== wanted.length : length < wanted.length)
  )
    return undefined
  const path: string[] = []
  for (let i = 0; i < length; i++) {
    const own = fixed(route)[i] ?? ANY
    const ruled = wanted[i] ?? ANY
    if (!isName(own) && !isName(ruled) && own.toLowerCase() !== ruled.toLowerCase()) return undefined
    path.push(isName(own) && ruled !== ANY ? (own === ANY || !isName(ruled) ? ruled : own) : own)
  }
  return path
}

function named(path: readonly string[]): string {
  const end = path.findLastIndex((segment) => segment !== ANY) + 1
  const known = path.slice(0, end).map((segment) => (segment === ANY ? ':any' : segment))
  return shown(end < path.length ? [...known, '*'] : known)
}

/** Whether somebody decides who may do this. */
export function isDecided(
  { exact, fits }: Fit<RouteRule>,
  guards: readonly GuardMark[],
  settings: Readonly<Record<string, unknown>>,
): boolean {
  if (exact?.isPublic === true || guards.some(({ settings: added }) => added?.rbac !== undefined)) return true
  const adding = exact === undefined ? fits : [exact]
  if (adding.some(({ setting }) => setting.rbac !== undefined && setting.rbac !== false)) return true
  // Only a rule that fits letter by letter takes something away.
  if (exact?.setting.rbac === false) return false
  return (settings.rbac as { default?: unknown } | undefined)?.default !== undefined
}
