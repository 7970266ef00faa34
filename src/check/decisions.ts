import { meetings } from '../kernel/meetings.js'
import { fixed, hasRest, isName, type Requests } from '../kernel/route-pattern.js'
import type { Plan, Plans } from '../plans.js'
import type { RouteRule } from '../route-rule.js'
import { shown } from './app-walk.js'
import type { GuardMark } from './guard-mark.js'

/** What holds for one kind of request that a route answers. */
export interface Case {
  /** As `routes` would take it: `GET /orders/:id`. */
  readonly label: string
  readonly plan: Plan
}

/** Stands for text that no rule has. */
const SAMPLE = 'x-sample-x'
/** More kinds of requests than this, besides those of each rule by itself, are not told apart. */
const MAX_CASES = 1_000

/** All kinds of requests that meet the route, as the rules tell them apart, and what holds for each of them. */
export function casesOf(method: string, segments: readonly string[], plans: Plans): Case[] {
  const asked = method === 'HEAD' ? 'GET' : method
  return meetings(plans.tree, { method: asked, segments }, plans.rules.length + MAX_CASES).flatMap((kind) => {
    const plan = planOf(kind, plans)
    const label = `${kind.method === asked ? method : kind.method} ${shown(kind.segments)}`
    return plan === undefined ? [] : [{ label, plan }]
  })
}

/** Each rule by itself, with all that are wider. */
export function casesOfRules(rules: readonly RouteRule[], plans: Plans): Case[] {
  return rules.map(({ pattern }) => ({ label: pattern, plan: plans.named(pattern) }))
}

/** What holds for such a request, spelled as the kind is, that no narrower rule fits. `undefined` if there is none. */
function planOf(kind: Requests, plans: Plans): Plan | undefined {
  const known = fixed(kind.segments).map((segment) => (isName(segment) ? SAMPLE : segment))
  const wanted = plans.tree.containing(kind).length
  const longest = Math.max(known.length, ...plans.rules.map(({ segments }) => segments.length)) + 1
  // An empty rest last: what fits by it fits no longer letter by letter.
  const lengths = hasRest(kind) ? [...range(1, longest - known.length), 0] : [0]
  return lengths
    .map((more) => shown([...known, ...Array<string>(more).fill(SAMPLE)]))
    .map((path) => plans.of(kind.method, path, path))
    .find(({ rules }) => rules.length === wanted)
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}

/** Whether a rule lets everybody in, so that no credential is read. */
export function isPublic({ seats }: Plan): boolean {
  return seats.some(({ stage, door }) => door !== 'extra' && stage.name === 'public')
}

/** The rows that decide who may do something. */
const DECIDING = ['rbac', 'ownership', 'policy']

/** Whether somebody decides who may do this. */
export function isDecided({ seats }: Plan, guards: readonly GuardMark[]): boolean {
  if (guards.some(({ settings }) => decides(settings))) return true
  return seats.some(
    ({ stage, door }) => door !== 'extra' && (stage.name === 'public' || DECIDING.includes(stage.name)),
  )
}

/** Whether a guard decides who may do this. */
export function decides(settings: GuardMark['settings']): boolean {
  return DECIDING.some((row) => settings?.[row] !== undefined)
}
