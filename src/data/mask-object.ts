import { randomUUID } from 'node:crypto'
import type { State } from './mask-automaton.js'

/** What the members of an object are masked with. */
export interface MemberMask {
  /** Whether somebody wants to know which paths masked something. */
  readonly isWatched: boolean
  value(raw: unknown, key: string, state: State): unknown
  /** `value` of an object whose `toJSON` is read already. */
  object(value: object, toJSON: unknown, key: string, state: State): unknown
  /** `value` of a plain object without `toJSON`, at a place where no path ends. */
  plain(value: object, state: State): unknown
}

/** Copies an object, and masks in the copy the members that the paths of a state name. */
export type ObjectMask = (walk: MemberMask, value: object) => Record<string, unknown>

/** Shows part of a string, or nothing of it. */
export type Show = (text: unknown) => unknown

/**
 * A function for the objects that come to one state, which is several times as fast as one for all: docs/decisions/mask-functions.md.
 * It is made from text, in which stands how many names there are and nothing else. Where the process does not allow that, one
 * function serves all states.
 *
 * @param shows by name, what becomes of a string there, if that depends on nothing else
 */
export function compileObject(state: State, shows: readonly (Show | undefined)[]): ObjectMask {
  const { names, targets } = state
  const each = names.map((_, i) => i)
  const parameters = each.flatMap((i) => [`name${i}`, `state${i}`, `show${i}`])
  const constants = each.flatMap((i) => [asKey(names[i]!), targets[i], shows[i]])
  const text = textFor(
    each,
    shows,
    targets.map(({ ending }) => ending.length === 0),
  )
  try {
    // eslint-disable-next-line @typescript-eslint/no-implied-eval
    const make = new Function(...HELPERS, ...parameters, text) as (...constants: unknown[]) => ObjectMask
    return make(Object.hasOwn, Object.prototype, Object.getPrototypeOf, Array.isArray, ...constants)
  } catch {
    return (walk, value) => maskNames(walk, value, state)
  }
}

const HELPERS = ['hasOwn', 'inherited', 'prototypeOf', 'isArray']

/** The very string that objects have as a key: under another one of the same letters V8 remembers no place to write to. */
function asKey(name: string): string {
  return Object.keys({ [name]: true })[0]!
}

/** `maskNames`, written out for so many names. Equal texts would become one function to V8, hence the comment. */
const textFor = (
  each: readonly number[],
  shows: readonly unknown[],
  leads: readonly boolean[],
): string => `'use strict' // ${randomUUID()}
return (walk, value) => {
  const copy = { ...value }
  if (typeof copy.toJSON === 'function') copy.toJSON = undefined
  let member
${each
  .map(
    (i) => `
  member = copy[name${i}]
  if (member !== undefined && (!(name${i} in inherited) || hasOwn(copy, name${i})))
${leads[i] ? leading(i) : masked(i, shows[i] !== undefined)}`,
  )
  .join('')}
  return copy
}`

const masked = (i: number, hasShow: boolean): string =>
  `    copy[name${i}] = ${hasShow ? `typeof member === 'string' && !walk.isWatched ? show${i}(member) : ` : ''}walk.value(member, name${i}, state${i})`

const leading = (i: number): string => `    if (typeof member === 'object' && member !== null) {
      const { toJSON } = member
      copy[name${i}] = toJSON === undefined && prototypeOf(member) === inherited && !isArray(member)
        ? walk.plain(member, state${i})
        : walk.object(member, toJSON, name${i}, state${i})
    } else copy[name${i}] = walk.value(member, name${i}, state${i})`

function maskNames(walk: MemberMask, value: object, { names, targets }: State): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...value }
  // `toJSON` was asked already, and must not answer again for the copy.
  if (typeof copy['toJSON'] === 'function') copy['toJSON'] = undefined
  for (let i = 0; i < names.length; i++) {
    const key = names[i]!
    const member = copy[key]
    if (member !== undefined && Object.hasOwn(copy, key)) copy[key] = walk.value(member, key, targets[i]!)
  }
  return copy
}
