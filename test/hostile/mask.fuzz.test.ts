import fc from 'fast-check'
import { inspect } from 'node:util'
import { maskValue } from '../../src/data/mask-value.js'
import type { Style } from '../../src/data/mask.js'

const NAMES = ['a', 'b', '0', '1', 'a.b', '\\', '*', '**', '', '__proto__', 'constructor', 'toJSON', 'length']
const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...NAMES) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 3 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
)

/** Where something stands in a document: keys of objects, positions in arrays. */
type Location = readonly (string | number)[]

/** One step of a location, as text that no other step has. */
const step = (one: string | number) => (typeof one === 'number' ? `/i${one}` : `/k${hex(one)}`)
const hex = (text: string) => Buffer.from(text, 'utf16le').toString('hex')

/** A segment of a path, how it is written in a map, and what it means as a regular expression over locations. */
interface Segment {
  readonly written: string
  readonly means: string
}
/** Positions need no segment. */
const POSITIONS = '(?:/i\\d+)*'
const ANY: Segment = { written: '**', means: '(?:/[ki]\\w*)*' }
const ONE: Segment = { written: '*', means: `${POSITIONS}/[ki]\\w*` }
const literal = (text: string): Segment => ({
  written: text === '*' || text === '**' ? `\\${text.split('').join('\\')}` : text.replace(/[.\\]/g, '\\$&'),
  means: `${POSITIONS}/(?:k${hex(text)}${/^(?:0|[1-9]\d*)$/.test(text) ? `|i${text}` : ''})`,
})

const segment = fc.oneof(
  { weight: 1, arbitrary: fc.constant(ANY) },
  { weight: 2, arbitrary: fc.constant(ONE) },
  { weight: 8, arbitrary: name.filter((text) => text !== '').map(literal) },
)
/** `**` ends no path, and never stands twice in a row. */
const path = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .filter((list) => list.every((one, i) => one !== ANY || (i + 1 < list.length && list[i + 1] !== ANY)))
const paths = fc.array(path, { minLength: 1, maxLength: 4 })

type Paths = readonly (readonly Segment[])[]
const written = (list: readonly Segment[]) => list.map((one) => one.written).join('.')
const mapOf = (list: Paths, style: Style = 'redact') =>
  Object.defineProperties(
    {},
    Object.fromEntries(list.map((one) => [written(one), { value: style, enumerable: true }])),
  ) as Record<string, Style>

/** Whether something stands where a path ends; what lies in an array that it ends at counts too. */
function reacher(list: Paths): (location: Location) => boolean {
  const expressions = list.map((one) => new RegExp(`^${one.map(({ means }) => means).join('')}${POSITIONS}$`))
  return (location) => {
    const text = location.map(step).join('')
    return expressions.some((expression) => expression.test(text))
  }
}

/** What the client must get, made from what it would have got. */
function expected(json: unknown, isMasked: (location: Location) => boolean, at: Location = []): unknown {
  if (Array.isArray(json)) return json.map((one, i) => expected(one, isMasked, [...at, i]))
  if (json === NOTHING) return null
  if (isMasked(at)) return '[redacted]'
  if (typeof json !== 'object' || json === null) return json
  const copy = {}
  for (const [key, value] of Object.entries(json)) put(copy, key, expected(value, isMasked, [...at, key]))
  return copy
}

function put(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
}

class Account {
  readonly #secret = 'private'
  get secret(): string {
    return this.#secret
  }
}
class Dated extends Date {}

const pool = [{ a: 'shared', b: ['shared'] }, [['shared']], new Date(0), new Map([['a', 'in a map']])]

const leaf = fc.oneof(
  { weight: 6, arbitrary: fc.integer().map((n) => `canary-${n}-yranac`) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>(null, true, false, 0, -0, 1.5, NaN, Infinity, 'text', ''),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>(
      undefined,
      Symbol('a'),
      () => 'function',
      new Date(0),
      new Date(NaN),
      new Dated(1),
      new Map([['a', 1]]),
      new Set(['a']),
      new WeakMap(),
      /a/g,
      new Error('a'),
      new URL('https://a.example/?b=c'),
      Buffer.from('ab'),
      new Uint8Array([1, 2]),
      new ArrayBuffer(2),
      new String('boxed'),
      new Number(7),
      new Boolean(true),
      Object(Symbol('boxed')),
      new Account(),
      Promise.resolve('a'),
      globalThis.structuredClone({ a: 'b' }),
    ),
  },
  { weight: 3, arbitrary: fc.constantFrom<unknown>(...pool) },
)

/** Objects and arrays in every form that JSON has a meaning for. */
const FORMS: Record<string, (members: [string, unknown][]) => unknown> = {
  plain: (members) => assign({}, members),
  'without a prototype': (members) => assign(Object.create(null), members),
  'of a class': (members) => assign(new Account(), members),
  'of getters': (members) => {
    const target = {}
    for (const [key, value] of members) {
      if (isAsked(key, value)) continue
      Object.defineProperty(target, key, { get: () => value, enumerable: true, configurable: true })
    }
    return target
  },
  'with more than JSON shows': (members) => {
    const target = assign({ [Symbol('a')]: 'symbol' }, members)
    return Object.defineProperty(target, 'hidden', { value: 'not enumerable' })
  },
  inherited: (members) => assign(Object.create({ a: 'inherited', b: 'inherited' }), members),
  proxy: (members) => new Proxy(assign({}, members), {}),
  frozen: (members) => Object.freeze(assign({}, members)),
  toJSON: (members) => ({ toJSON: (key: string) => (key === 'b' ? [members.length] : assign({}, members)) }),
  'toJSON of a class': (members) =>
    Object.assign(new Account(), { a: 'raw', b: 'raw', toJSON: () => assign(new Account(), members) }),
  'toJSON that leaves out': () => ({ a: 'left out', toJSON: () => undefined }),
  map: (members) => assign(new Map([['a', 'in a map']]), members),
  array: (members) => members.map(([, value]) => value),
  'array with more': (members) =>
    Object.assign(
      members.map(([, value]) => value),
      { a: 'beside' },
    ),
  'sparse array': (members) => {
    const list: unknown[] = []
    members.forEach(([, value], i) => (list[2 * i] = value))
    return list
  },
  'array of arrays': (members) => [members.map(([, value]) => [value])],
  'proxy of an array': (members) =>
    new Proxy(
      members.map(([, value]) => value),
      {},
    ),
  twice: (members) => {
    const one = assign({}, members)
    return { a: one, b: [one, one], 'a.b': one }
  },
}

function assign(target: object, members: [string, unknown][]): object {
  for (const [key, value] of members) if (!isAsked(key, value)) put(target, key, value)
  return target
}

/** A toJSON that is no function is a member like any other; one that is would be asked. */
const isAsked = (key: string, value: unknown) => key === 'toJSON' && typeof value === 'function'

const { node: anyDocument } = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 6, depthSize: 'medium' },
    { weight: 2, arbitrary: leaf },
    {
      weight: 5,
      arbitrary: fc
        .tuple(
          fc.constantFrom(...Object.values(FORMS)),
          fc.array(fc.tuple(name, tie('node')), { maxLength: 4 }),
        )
        .map(([form, members]) => form(members)),
    },
  ),
}))

/** What has no place in JSON is `null` in an array, and is not there elsewhere, whatever is to be hidden. */
const NOTHING = '\0nothing'
const isNothing = (value: unknown) => ['undefined', 'function', 'symbol'].includes(typeof value)

/** A document as JSON shows it; `undefined` if it does not. */
function asJson(document: unknown): unknown {
  const text = JSON.stringify(document, function (this: unknown, _key, value: unknown) {
    return Array.isArray(this) && isNothing(value) ? NOTHING : value
  }) as string | undefined
  return text === undefined ? undefined : JSON.parse(text)
}

/** All that can be seen of a document from outside. */
const seen = (document: unknown) =>
  inspect(document, { depth: Infinity, showHidden: true, showProxy: true, maxArrayLength: null })

const RUNS = { numRuns: 600 }

test('the client gets what JSON would have shown, with the masked places hidden and nothing else changed', () => {
  let hidden = 0
  fc.assert(
    fc.property(paths, anyDocument, (list, document) => {
      const json = asJson(document)
      const before = seen(document)
      const got = JSON.stringify(maskValue(mapOf(list))(document))
      const isMasked = reacher(list)
      expect(got).toBe(JSON.stringify(expected(json, isMasked)))
      expect(seen(document)).toBe(before)
      if (got !== JSON.stringify(document)) hidden++
    }),
    RUNS,
  )
  // A property about masking that hides nothing proves nothing.
  expect(hidden).toBeGreaterThan(RUNS.numRuns / 10)
})

test('whatever the style, no canary at a masked place is in the bytes, and all others are', () => {
  const style = fc.constantFrom<Style>(
    'redact',
    'last4',
    'email',
    'hash',
    () => 'own',
    () => undefined,
    (value) => typeof value,
    (value) => [typeof value],
  )
  fc.assert(
    fc.property(paths, style, anyDocument, (list, how, document) => {
      const shown: string[] = []
      const masked: string[] = []
      collect(asJson(document), reacher(list), shown, masked)
      const bytes = JSON.stringify(maskValue(mapOf(list, how), { key: 'k'.repeat(32) })(document)) as
        string | undefined
      const text = bytes ?? ''
      expect(shown.filter((canary) => !text.includes(canary))).toEqual([])
      expect(masked.filter((canary) => !shown.includes(canary) && text.includes(canary))).toEqual([])
    }),
    RUNS,
  )
})

function collect(
  json: unknown,
  isMasked: (location: Location) => boolean,
  shown: string[],
  masked: string[],
  at: Location = [],
): void {
  if (typeof json === 'string' && json.startsWith('canary-'))
    return void (isMasked(at) ? masked : shown).push(json)
  if (typeof json !== 'object' || json === null) return
  // What lies below a masked object goes with it; a masked array is masked element by element.
  const below = !Array.isArray(json) && isMasked(at) ? () => true : isMasked
  const members: [string | number, unknown][] = Array.isArray(json)
    ? [...json.entries()]
    : Object.entries(json)
  for (const [key, value] of members) collect(value, below, shown, masked, [...at, key])
}

const places: [at: Location, whole: (document: unknown, there: unknown) => unknown][] = [
  [['z'], (document, z) => ({ a: document, z })],
  [['a', 0], (document, there) => ({ a: [there, document] })],
  [['a', 'b', 1], (document, there) => ({ a: { b: [document, there] } })],
]
const place = fc.constantFrom(...places)
const fail = () => {
  throw new Error('failed')
}

test.each<[string, make: () => unknown, isAsked: boolean]>([
  ['a bigint', () => 7n, false],
  ['a getter that throws', () => Object.defineProperty({}, 'b', { get: fail, enumerable: true }), false],
  ['a toJSON that throws', () => ({ toJSON: fail }), true],
  [
    'a proxy that was revoked',
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      return proxy
    },
    true,
  ],
])('%s that nothing hides is refused by an exception', (_what, make, isAsked) => {
  const count = { refused: 0, hidden: 0 }
  fc.assert(
    fc.property(paths, anyDocument, place, (list, document, [at, whole]) => {
      const isMasked = reacher(list)
      // An object is hidden whole, an array element by element; what it would be in JSON is asked before.
      const isCovered = at.some((_, i) => typeof at[i + 1] === 'string' && isMasked(at.slice(0, i + 1)))
      const isHidden = isCovered || (isMasked(at) && !isAsked)
      const write = () => JSON.stringify(maskValue(mapOf(list))(whole(document, make())))
      count[isHidden ? 'hidden' : 'refused']++
      if (!isHidden) return expect(write).toThrow()
      expect(write()).toBe(JSON.stringify(expected(asJson(whole(document, 1)), isMasked)))
    }),
    { numRuns: 200 },
  )
  expect(Math.min(count.refused, count.hidden)).toBeGreaterThan(0)
})

test('a document that contains itself is refused by an exception, or is cut where it is hidden', () => {
  const count = { refused: 0, cut: 0 }
  fc.assert(
    fc.property(paths, anyDocument, place, (list, document, [at, whole]) => {
      const circle: Record<string, unknown> = { document }
      circle['b'] = [circle]
      const masked: string[] = []
      const shown: string[] = []
      const isMasked = reacher(list)
      collect(asJson(whole(document, { document })), isMasked, shown, masked)
      let text = ''
      try {
        text = JSON.stringify(maskValue(mapOf(list))(whole(document, circle)))
      } catch {
        count.refused++
        return
      }
      count.cut++
      const cut =
        at.some((_, i) => isMasked(at.slice(0, i + 1))) || isMasked([...at, 'b']) || isMasked([...at, 'b', 0])
      expect(cut).toBe(true)
      expect(masked.filter((canary) => !shown.includes(canary) && text.includes(canary))).toEqual([])
    }),
    { numRuns: 300 },
  )
  expect(Math.min(count.refused, count.cut)).toBeGreaterThan(0)
})
