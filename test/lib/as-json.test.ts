import { asJson } from '../../src/lib/as-json.js'

class Money {
  constructor(readonly cents: number) {}
  toJSON() {
    return { euros: this.cents / 100 }
  }
}

const callable = Object.assign(() => 1, { toJSON: () => 'called' })

test.each<[string, unknown]>([
  ['a string', 'a'],
  ['a number', 1],
  ['null', null],
  ['a date', new Date(0)],
  ['an invalid date', new Date(NaN)],
  ['a class with toJSON', new Money(250)],
  ['toJSON that gives an object with toJSON, which is asked once', { toJSON: () => new Money(250) }],
  ['toJSON that is no function', { toJSON: 'a' }],
  ['a function with toJSON', callable],
  ['a boxed string', new String('abc')],
  ['a boxed number', new Number(7)],
  ['a boxed boolean', new Boolean(false)],
  ['a boxed string that says something else', Object.assign(new String('abc'), { toString: () => 'other' })],
  ['toJSON that gives a boxed string', { toJSON: () => new String('abc') }],
  ['a boxed symbol', Object(Symbol('a'))],
  ['a boxed string of another realm', new (Object.getPrototypeOf(JSON.parse('""')).constructor)('abc')],
  ['a URL', new URL('https://a.example/')],
  ['a buffer', Buffer.from('ab')],
  ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
])('sees %s as JSON.stringify does', (_what, value) => {
  const seen = asJson(value, 'key')
  // A second `toJSON` would be one too many; only plain data is left where it counts.
  const once = JSON.stringify({ key: value })
  expect(JSON.stringify({ key: hideToJson(seen) })).toBe(once)
})

function hideToJson(value: unknown): unknown {
  return typeof value === 'object' &&
    value !== null &&
    typeof (value as { toJSON?: unknown }).toJSON === 'function'
    ? Object.defineProperty({ ...value }, 'toJSON', { value: undefined })
    : value
}

test('hands the key to toJSON, as text', () => {
  expect(asJson({ toJSON: (key: unknown) => key }, 'a')).toBe('a')
  expect(asJson({ toJSON: (key: unknown) => key }, 7)).toBe('7')
})

test('leaves a boxed bigint and a bigint to whoever writes the JSON', () => {
  expect(asJson(7n, 'key')).toBe(7n)
  expect(asJson(Object(7n), 'key')).toBe(7n)
})

test('asks a bigint for its toJSON, which applications add to its prototype', () => {
  const prototype = BigInt.prototype as { toJSON?: unknown }
  prototype.toJSON = function (this: bigint) {
    return `${String(this)}n`
  }
  try {
    expect(asJson(7n, 'key')).toBe('7n')
    expect(asJson(Object(7n), 'key')).toBe('7n')
  } finally {
    delete prototype.toJSON
  }
})
