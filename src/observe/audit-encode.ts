import { types } from 'node:util'
import type { AuditEvent } from '../kernel/ports.js'
import { attempt } from '../lib/attempt.js'
import { clean, cleanQuoted, quote } from './audit-text.js'

type Scalar = string | number | boolean | null
/** An event as it is written: scalars, and one level of them under `facts` and the like. */
export type FlatEvent = Record<string, Scalar | Record<string, Scalar>>

const TEXT_MAX = 512
const KEY_MAX = 64
const MEMBERS_MAX = 32
const DEPTH_MAX = 4
const CHARACTERS_MAX = 4096

/**
 * Members of our own, whose names need no cleaning, in the order in which events have them, and the bounds of those that need
 * another one than 512 characters.
 */
const OWN: ReadonlyMap<string, number> = new Map(
  (
    'kind time severity outcome principal authMethod method route path status clientIp service stage code rule reason ' +
    'requestId traceId durationMs reported facts'
  )
    .split(' ')
    .map((name) => [name, { path: 1024, principal: 256, method: 32, clientIp: 64 }[name] ?? TEXT_MAX]),
)

/** Facts that are never written, whatever they are: their name says that they open something. */
const SECRET_NAME =
  /passw(?:or)?d|passphrase|secret|token|jwt|authorization|cookie|session[-_]?id|(?:api|private)[-_]?key|credential/i
/** Such as `tokenCount`, but not `tokenAccount`. */
const COUNT_NAME = /(?<!ac)count$/i

/**
 * An event made fit for every sink: all text cleaned and bounded, objects flattened to `a.b.0` keys with bounds on depth,
 * members and characters. Nothing recurses, nothing that an object's getters do escapes, nothing is dropped silently.
 */
export function tidy(event: AuditEvent): FlatEvent {
  const flat: FlatEvent = {}
  let members = 0
  for (const key of Object.keys(event)) {
    if (++members > MEMBERS_MAX) {
      flat['more'] = '[too many members]'
      break
    }
    const value = event[key]
    if (value === undefined) continue
    const max = OWN.get(key)
    if (max === undefined) flat[nameOf(key)] = isSecret(key, value) ? HIDDEN : bounded(value, TEXT_MAX)
    else flat[key] = bounded(value, max)
  }
  return flat
}

const HIDDEN = '[hidden]'
const UNREADABLE = '[unreadable]'

/** Whether there is a secret, and how many there are, may be said. */
function isSecret(key: string, value: unknown): boolean {
  if (typeof value === 'boolean' || value === null || !SECRET_NAME.test(key)) return false
  return typeof value !== 'number' || !COUNT_NAME.test(key)
}

function nameOf(key: string): string {
  return key === '__proto__' ? '[__proto__]' : clean(key, KEY_MAX)
}

/** Getters and proxies may throw at any touch. */
function bounded(value: unknown, max: number): Scalar | Record<string, Scalar> {
  return attempt(() => (isPlain(value) ? flatten(value) : scalar(value, max)), UNREADABLE)
}

/** A member of our own as it is written, and its last text, because most say the same again and again. */
interface Member {
  readonly key: string
  readonly max: number
  readonly name: string
  text: string
  json: string
}

/**
 * Writes the members of events, made fit, as JSON without the braces, in plain ASCII and without a line end: what `tidy`
 * gives, but for events of our own without the detour over another object.
 */
export function eventEncoder(): (event: AuditEvent) => string {
  const order = Array.from(OWN, ([key, max]): Member => {
    const name = `,"${key}":`
    return { key, max, name, text: '', json: `${name}""` }
  })
  const members = new Map(order.map((member) => [member.key, member]))
  return (event) => {
    let json = ''
    // Its own keys come first: one that has our last one meets that before any key that is only inherited.
    let next = Object.hasOwn(event, 'facts') ? 0 : order.length
    for (const key in event) {
      let member = order[next]
      if (member?.key === key) {
        next++
      } else {
        // Another order than ours, or behind the end: from here on, a key may be one that is only inherited.
        next = order.length
        if (!Object.hasOwn(event, key)) continue
        member = members.get(key)
        if (member === undefined) return encodeFlat(tidy(event))
      }
      const value = event[key]
      if (value === undefined) continue
      const text = typeof value === 'string' ? written(member, value) : member.name + other(value, member.max)
      // Only the first is cut: to cut the whole would be to copy it, and whoever hashes or writes it copies it anyway.
      json = json === '' ? text.slice(1) : json + text
    }
    return json
  }
}

function other(value: unknown, max: number): string {
  return typeof value === 'number' && Number.isFinite(value) ? decimal(value) : encode(bounded(value, max))
}

/** What stands behind the point, for each of a thousand thousandths. */
const THOUSANDTHS = Array.from({ length: 1000 }, (_, i) => String(i / 1000).slice(1))

/** As `String` writes a number, but faster for what is as small as a status or a duration in milliseconds. */
function decimal(value: number): string {
  const whole = value | 0
  if (value >= 0 && value < 1e6) {
    const thousandth = Math.round((value - whole) * 1000)
    // A quotient of whole numbers is the number that is nearest to its decimals, and a sum may miss that by a hair.
    if (thousandth < 1000 && (whole * 1000 + thousandth) / 1000 === value)
      return String(whole) + THOUSANDTHS[thousandth]!
  }
  return String(value)
}

function written(member: Member, text: string): string {
  const { max, name } = member
  if (text === member.text) return member.json
  const json = name + cleanQuoted(text, max)
  if (text.length <= max) {
    member.text = text
    member.json = json
  }
  return json
}

function encodeFlat(event: FlatEvent): string {
  let json = ''
  for (const key of Object.keys(event)) json += `,${quote(key)}:${encode(event[key]!)}`
  return json.slice(1)
}

function encode(value: Scalar | Record<string, Scalar>): string {
  return isRecord(value) ? `{${encodeScalars(value)}}` : encodeScalar(value)
}

function encodeScalars(members: Record<string, Scalar>): string {
  let json = ''
  for (const key of Object.keys(members)) json += `,${quote(key)}:${encodeScalar(members[key]!)}`
  return json.slice(1)
}

function isRecord(value: Scalar | Record<string, Scalar>): value is Record<string, Scalar> {
  return typeof value === 'object' && value !== null
}

function encodeScalar(value: Scalar): string {
  return typeof value === 'string' ? quote(value) : String(value)
}

interface Open {
  readonly prefix: string
  readonly value: object
  readonly depth: number
}

function flatten(root: object): Record<string, Scalar> {
  const flat: Record<string, Scalar> = {}
  const open: Open[] = [{ prefix: '', value: root, depth: 1 }]
  let members = 0
  let characters = 0

  for (let next = open.shift(); next !== undefined; next = open.shift()) {
    const { prefix, value, depth } = next
    for (const [key, read] of membersOf(value, MEMBERS_MAX + 1)) {
      const name = nameOf(prefix + key)
      if (++members > MEMBERS_MAX || characters > CHARACTERS_MAX) {
        flat['more'] = '[too many members]'
        return flat
      }
      const member = attempt(read, UNREADABLE)
      if (member === undefined) continue
      const hidden = isSecret(key, member)
      if (!hidden && isPlain(member) && depth < DEPTH_MAX) {
        open.push({ prefix: `${name}.`, value: member, depth: depth + 1 })
        continue
      }
      const written = hidden ? HIDDEN : isPlain(member) ? '[too deep]' : scalar(member, TEXT_MAX)
      flat[name] = written
      characters += name.length + (typeof written === 'string' ? written.length : 8)
    }
  }
  return flat
}

/** The first `max` members of an object, without ever listing all of a huge one. */
function membersOf(value: object, max: number): [string, () => unknown][] {
  const members: [string, () => unknown][] = []
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && i < max; i++) members.push([String(i), () => value[i] as unknown])
    return members
  }
  for (const key in value) {
    if (members.length >= max) break
    if (Object.hasOwn(value, key)) members.push([key, () => (value as Record<string, unknown>)[key]])
  }
  return members
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return true
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || prototype === Object.prototype || isPlainPrototype(prototype)
}

/** Plain objects of another realm, such as a test's, are plain too, and so are records that inherit nothing. */
function isPlainPrototype(prototype: object): boolean {
  if (Object.getPrototypeOf(prototype) !== null) return false
  return Object.hasOwn(prototype, 'hasOwnProperty') || Reflect.ownKeys(prototype).length === 0
}

function scalar(value: unknown, max: number): Scalar {
  switch (typeof value) {
    case 'string':
      return clean(value, max)
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'boolean':
      return value
    case 'bigint':
      return clean(value.toString(), max)
    case 'object':
      return value === null ? null : named(value)
    default:
      return `[${typeof value}]`
  }
}

/** Of an error only its kind: messages quote what they stumbled over. */
function named(value: object): string {
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? '[invalid date]' : value.toISOString()
  if (types.isNativeError(value)) return clean(`[${value.name}]`, KEY_MAX)
  return '[object]'
}
