import fc from 'fast-check'
import { compileMap, type MaskLimits, type MaskMap } from '../../src/data/mask-map.js'
import type { Style } from '../../src/data/mask-styles.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { compileCatalogue } from '../../src/kernel/rule.js'
import { leadsTo, referenceMask, type Step } from './reference-mask.js'
import { parsePath } from '../../src/data/mask-path.js'

const key = 'k'.repeat(32)

function masked(map: MaskMap, value: unknown, limits: MaskLimits = { key }): unknown {
  return compileMap('mask', map, limits, undefined).apply(value, [])
}

/** What the client reads. */
function sent(map: MaskMap, value: unknown, limits?: MaskLimits): unknown {
  const text = JSON.stringify(masked(map, value, limits)) as string | undefined
  return text === undefined ? undefined : JSON.parse(text)
}

const X = '[redacted]'

describe('paths reach', () => {
  test.each<[string, string, unknown, unknown]>([
    ['a key', 'a', { a: 1, b: 2 }, { a: X, b: 2 }],
    ['a key in a key', 'a.b', { a: { b: 1, c: 2 }, b: 3 }, { a: { b: X, c: 2 }, b: 3 }],
    ['everything below', 'a', { a: { b: { c: 1 } } }, { a: X }],
    [
      'into every element of a list',
      'a.b',
      { a: [{ b: 1 }, { b: 2, c: 3 }] },
      { a: [{ b: X }, { b: X, c: 3 }] },
    ],
    ['every value of a list', 'a', { a: [1, 'b', null, { c: 1 }] }, { a: [X, X, X, X] }],
    ['through lists in lists', 'a.b', { a: [[{ b: 1 }], [[{ b: 2 }]]] }, { a: [[{ b: X }], [[{ b: X }]]] }],
    ['into a list at the top', 'a', [{ a: 1 }, { b: 2 }], [{ a: X }, { b: 2 }]],
    ['one position, if it is written', 'a.1.b', { a: [{ b: 1 }, { b: 2 }] }, { a: [{ b: 1 }, { b: X }] }],
    ['every position, if a star stands for it', 'a.*.b', { a: [{ b: 1 }] }, { a: [{ b: X }] }],
    ['values in a list through a star', 'tags.*', { tags: ['a', 'b'] }, { tags: [X, X] }],
    [
      'into a list that claims to be a plain object',
      'a.b',
      { a: Object.setPrototypeOf([{ b: 1, c: 2 }], Object.prototype) },
      { a: [{ b: X, c: 2 }] },
    ],
    [
      'into a wrapped list that claims to be a plain object',
      'a.b',
      { a: new Proxy([{ b: 1 }], { getPrototypeOf: () => Object.prototype }) },
      { a: [{ b: X }] },
    ],
    [
      'into what toJSON gives inside',
      'a.b',
      { a: { b: 1, toJSON: () => ({ b: 2, c: 3 }) } },
      { a: { b: X, c: 3 } },
    ],
    ['nothing in boxed text', 'a.b', { a: Object('text') }, { a: 'text' }],
    ['a key that looks like a position', 'a.0', { a: { 0: 1, 1: 2 } }, { a: { 0: X, 1: 2 } }],
    [
      'any one key',
      '*.b',
      { a: { b: 1 }, c: { b: 2, d: 3 }, b: 4 },
      { a: { b: X }, c: { b: X, d: 3 }, b: 4 },
    ],
    ['all keys', 'a.*', { a: { b: 1, c: { d: 2 } }, e: 3 }, { a: { b: X, c: X }, e: 3 }],
    ['any depth', '**.b', { b: 1, a: { b: 2, c: [{ b: 3 }] } }, { b: X, a: { b: X, c: [{ b: X }] } }],
    [
      'any depth below a key',
      'a.**.b',
      { a: { b: 1, c: { d: { b: 2 } } }, b: 3 },
      { a: { b: X, c: { d: { b: X } } }, b: 3 },
    ],
    [
      'any depth, then keys',
      '**.a.b',
      { a: { a: { b: 1 }, b: 2 }, b: 3 },
      { a: { a: { b: X }, b: X }, b: 3 },
    ],
    ['a key with a dot', 'a\\.b', { 'a.b': 1, a: { b: 2 } }, { 'a.b': X, a: { b: 2 } }],
    ['a key that is a star', '\\*', { '*': 1, a: 2 }, { '*': X, a: 2 }],
    [
      'keys as they are written',
      'email',
      { email: 1, Email: 2, EMAIL: 3, 'email ': 4 },
      { email: X, Email: 2, EMAIL: 3, 'email ': 4 },
    ],
    ['nothing in a value without keys', 'a', 'a', 'a'],
    ['nothing in null', '**.a', null, null],
    ['nothing that is not there', 'a.b', { a: null, c: 1 }, { a: null, c: 1 }],
    ['nothing in what has no keys', 'a.b', { a: 'b' }, { a: 'b' }],
  ])('%s: %s', (_what, path, value, expected) => {
    expect(sent({ [path]: 'redact' }, value)).toEqual(expected)
  })

  test.each(['constructor', 'toString', 'hasOwnProperty'])(
    '%s only where the value has such a key itself',
    (name) => {
      expect(sent({ [name]: 'redact', [`a.${name}`]: 'redact' }, { a: { b: 1 } })).toEqual({ a: { b: 1 } })
      expect(sent({ [name]: 'redact' }, { [name]: 1 })).toEqual({ [name]: X })
    },
  )

  test.each(['__proto__', '**.__proto__', '*'])('__proto__ as a key of data: %s', (path) => {
    const value: unknown = JSON.parse('{"__proto__":{"secret":"canary"}}')
    expect(JSON.stringify(masked({ [path]: 'redact' }, value))).toBe('{"__proto__":"[redacted]"}')
    expect(JSON.stringify(masked({ [`${path}.secret`]: 'redact' }, value))).toBe(
      path === '*' || path.endsWith('__proto__') ? '{"__proto__":{"secret":"[redacted]"}}' : '',
    )
    expect({}).not.toHaveProperty('secret')
  })
})

describe('values of every kind are seen as JSON shows them', () => {
  class Customer {
    constructor(
      readonly name: string,
      private readonly ssn: string,
    ) {}
    toJSON() {
      return { name: this.name, ssn: this.ssn }
    }
  }
  class Plain {
    ssn = 'canary'
    get derived() {
      return 'not in JSON'
    }
  }
  const bigintWithToJson = Object.assign(Object(7n), { toJSON: () => ({ ssn: 'canary' }) })
  const callable = Object.assign(() => 'canary', { toJSON: () => ({ ssn: 'canary' }) })
  const same = { ssn: 'canary', toJSON: () => same }

  test.each<[string, unknown, unknown]>([
    ['a class with toJSON', new Customer('Ann', 'canary'), { name: 'Ann', ssn: X }],
    ['a class with toJSON in a list', [new Customer('Ann', 'canary')], [{ name: 'Ann', ssn: X }]],
    ['a class without', new Plain(), { ssn: X }],
    ['a document that hides its fields', { toJSON: () => ({ ssn: 'canary', a: 1 }) }, { ssn: X, a: 1 }],
    ['toJSON that gives itself', same, { ssn: X }],
    [
      'toJSON that gives what has toJSON, which JSON does not ask',
      { toJSON: () => ({ ssn: 'canary', toJSON: () => 'canary' }) },
      { ssn: X },
    ],
    [
      'toJSON deep inside',
      { a: { toJSON: () => ({ b: { toJSON: () => ({ ssn: 'canary' }) } }) } },
      { a: { b: { ssn: X } } },
    ],
    [
      'a getter',
      {
        get ssn() {
          return 'canary'
        },
      },
      { ssn: X },
    ],
    [
      'a getter on the way',
      {
        get a() {
          return { ssn: 'canary' }
        },
      },
      { a: { ssn: X } },
    ],
    ['an object without a prototype', Object.assign(Object.create(null), { ssn: 'canary' }), { ssn: X }],
    [
      'a frozen object',
      Object.freeze({ a: Object.freeze([Object.freeze({ ssn: 'canary' })]) }),
      { a: [{ ssn: X }] },
    ],
    ['a proxy', new Proxy({ ssn: 'canary' }, {}), { ssn: X }],
    ['a proxy of a list', new Proxy([{ ssn: 'canary' }], {}), [{ ssn: X }]],
    ['a map with properties', Object.assign(new Map([['ssn', 'canary']]), { ssn: 'canary' }), { ssn: X }],
    [
      'a map and a set, which JSON shows empty',
      { a: new Map([['ssn', 'canary']]), b: new Set(['canary']) },
      { a: {}, b: {} },
    ],
    ['a function with toJSON', { a: callable }, { a: { ssn: X } }],
    ['a boxed bigint with toJSON', { a: bigintWithToJson }, { a: { ssn: X } }],
    ['a list with holes', [, { ssn: 'canary' }], [null, { ssn: X }]], // eslint-disable-line no-sparse-arrays
    ['a boxed string', { ssn: new String('canary') }, { ssn: X }],
    [
      'boxed values beside',
      { a: new String('a'), b: new Number(1), c: new Boolean(false) },
      { a: 'a', b: 1, c: false },
    ],
    ['a date beside', { a: new Date(0) }, { a: '1970-01-01T00:00:00.000Z' }],
    ['what JSON leaves out', { a: undefined, b: () => 1, c: Symbol('c'), [Symbol('ssn')]: 'canary' }, {}],
    ['what JSON leaves out, under a masked key', { ssn: undefined }, {}],
    ['a function under a masked key', { ssn: () => 'canary' }, {}],
    ['properties that are not enumerable', Object.defineProperty({}, 'ssn', { value: 'canary' }), {}],
    ['inherited properties', Object.create({ ssn: 'canary' }), {}],
    ['a list with properties', Object.assign([1], { ssn: 'canary' }), [1]],
    ['bytes', { ssn: Buffer.from('canary') }, { ssn: X }],
    ['bytes beside', { a: Buffer.from('a') }, { a: { type: 'Buffer', data: [97] } }],
    ['typed bytes beside', { a: new Uint8Array([7]) }, { a: { 0: 7 } }],
    ['numbers that JSON does not have', { a: NaN, ssn: Infinity }, { a: null, ssn: X }],
  ])('%s', (_what, value, expected) => {
    expect(sent({ '**.ssn': 'redact' }, value)).toEqual(expected)
  })

  test.each<[Style, unknown, unknown]>([
    ['last4', 4111111111111234, '****1234'],
    ['last4', 4111111111111234n, '****1234'],
    ['last4', { toJSON: () => '4111111111111234' }, '****1234'],
    ['last4', new String('4111111111111234'), '****1234'],
    ['last4', new Date(0), '****000Z'],
    ['last4', true, X],
    ['last4', { number: '4111111111111234' }, X],
    ['last4', ['4111111111111234', ['12']], ['****1234', ['****']]],
    ['email', ['ann@example.com', 'x'], ['a***@example.com', X]],
    ['email', { address: 'ann@example.com' }, X],
    ['redact', [], []],
    ['redact', {}, X],
    ['redact', null, X],
    ['last4', null, null],
    ['email', null, null],
    ['hash', null, null],
    [() => 'own', null, null],
    [() => 'own', undefined, undefined],
    [(value) => `${String(value)}!`, 'a', 'a!'],
    [(value) => typeof value, 7, 'number'],
    [(value) => typeof value, false, 'boolean'],
    [(value) => value, new Date(0), '1970-01-01T00:00:00.000Z'],
    [() => undefined, 'a', undefined],
    [(value) => Object.keys(value as object), { a: 1, b: 2 }, ['a', 'b']],
  ])('%p shows %p as %p', (style, value, expected) => {
    expect(sent({ a: style }, { a: value })).toEqual(expected === undefined ? {} : { a: expected })
  })

  test('a bigint that nothing masks is still an error of the handler', () => {
    expect(() => sent({ '**.a': 'redact' }, { b: 7n })).toThrow(/BigInt/)
  })

  test('text that goes into JSON as it is counts as a value, not as an object', () => {
    const raw = Object.freeze(Object.assign(Object.create(null), { rawJSON: '12345678901234567890' }))
    const json = JSON as { isRawJSON?: (value: unknown) => boolean }
    const { isRawJSON } = json
    json.isRawJSON = (value) => value === raw
    try {
      expect(masked({ '**.ssn': 'last4' }, { a: raw, ssn: raw })).toEqual({ a: raw, ssn: X })
      expect((masked({ '**.ssn': 'last4' }, { a: raw }) as { a: unknown }).a).toBe(raw)
    } finally {
      if (isRawJSON === undefined) delete json.isRawJSON
      else json.isRawJSON = isRawJSON
    }
  })

  test('a getter is asked once, so it cannot show the mask one thing and the client another', () => {
    let asked = 0
    const value = {
      get a() {
        return asked++ === 0 ? { b: 1 } : { ssn: 'canary' }
      },
    }
    expect(JSON.stringify(masked({ 'a.ssn': 'redact' }, value))).toBe('{"a":{"b":1}}')
    expect(asked).toBe(1)
  })

  test('so is the name toJSON', () => {
    let asked = 0
    const a = Object.defineProperty({ ssn: 'canary' }, 'toJSON', {
      enumerable: true,
      get: () => (asked++ === 0 ? () => ({ b: 1 }) : undefined),
    })
    expect(JSON.stringify(masked({ 'a.ssn': 'redact' }, { a }))).toBe('{"a":{"b":1}}')
    expect(asked).toBe(1)
  })

  test('so is toJSON', () => {
    let asked = 0
    const value = { a: { toJSON: () => (asked++ === 0 ? { b: 1 } : { ssn: 'canary' }) } }
    expect(JSON.stringify(masked({ '**.ssn': 'redact' }, value))).toBe('{"a":{"b":1}}')
    expect(asked).toBe(1)
  })
})

test('one list in two places is no list that contains itself', () => {
  const list = [{ b: 1 }]
  expect(masked({ 'a.b': 'redact', 'c.b': 'redact' }, { a: list, c: list })).toEqual({
    a: [{ b: X }],
    c: [{ b: X }],
  })
  expect(masked({ '**.b': 'redact' }, { a: list, c: { d: list } })).toEqual({
    a: [{ b: X }],
    c: { d: [{ b: X }] },
  })
})

describe('what cannot be masked for certain throws', () => {
  const nested = (levels: number, inner: unknown = { ssn: 1 }) => {
    let value = inner
    for (let i = 1; i < levels; i++) value = i % 2 ? { a: value } : [value]
    return value
  }
  const itself: Record<string, unknown> = { b: 1 }
  itself['a'] = { list: [itself] }
  const member: Record<string, unknown> = {}
  member['a'] = member
  const bomb: unknown[] = []
  bomb.push(...Array.from({ length: 50 }, () => bomb))

  test.each<[string, MaskMap, unknown, RegExp]>([
    ['a value that contains itself', { '**.ssn': 'redact' }, itself, /contains itself/],
    ['a value that is its own member', { 'a.b': 'redact' }, member, /contains itself/],
    ['a list full of itself', { '**.ssn': 'redact' }, bomb, /contains itself/],
    ['a list full of itself on the way to a key', { 'a.b': 'redact' }, { a: bomb }, /contains itself/],
    ['a value that grows as it is read', { '**.ssn': 'redact' }, endless(), /nested more than 200/],
    ['one level too deep', { '**.ssn': 'redact' }, nested(201), /nested more than 200 levels deep/],
    ['a hundred thousand levels', { '**.ssn': 'redact' }, nested(100_000), /nested more than 200/],
    ['a hundred thousand lists', { 'a.b': 'redact' }, { a: nestedLists(100_000) }, /nested more than 200/],
    ['toJSON that throws', { '**.ssn': 'redact' }, { toJSON: fail }, /failed/],
    [
      'a getter that throws',
      { '**.ssn': 'redact' },
      {
        get a() {
          return fail()
        },
      },
      /failed/,
    ],
    ['a style that throws', { a: fail }, { a: 1 }, /failed/],
    ['a style that promises', { a: () => Promise.resolve('x') }, { a: 1 }, /returned a promise/],
  ])('%s', (_what, map, value, message) => {
    expect(() => masked(map, value)).toThrow(message)
  })

  test('200 levels are no problem, and the limit can be set', () => {
    expect(JSON.stringify(masked({ '**.ssn': 'redact' }, nested(200)))).toContain('{"ssn":"[redacted]"}')
    expect(JSON.stringify(masked({ '**.ssn': 'redact' }, nested(1_000), { maxDepth: 1_000 }))).toContain(X)
    expect(() => masked({ '**.ssn': 'redact' }, nested(4), { maxDepth: 3 })).toThrow(/more than 3 levels/)
  })

  test('the same object twice is no circle', () => {
    const one = { ssn: 1 }
    expect(sent({ '**.ssn': 'redact' }, { a: one, b: [one, one] })).toEqual({
      a: { ssn: X },
      b: [{ ssn: X }, { ssn: X }],
    })
  })

  function nestedLists(levels: number): unknown {
    let value: unknown = []
    for (let i = 1; i < levels; i++) value = [value]
    return value
  }
  function endless(): object {
    return { toJSON: () => ({ a: endless() }) }
  }
  function fail(): never {
    throw new Error('failed')
  }
})

describe('paths that meet', () => {
  const card = { number: '4111111111111234', note: 'call ann@example.com' }

  test.each<[string, MaskMap, unknown]>([
    [
      'redact wins, whatever comes first',
      { 'card.number': 'redact', '**.number': 'last4' },
      { ...card, number: X },
    ],
    [
      'redact wins, whatever comes last',
      { 'card.number': 'last4', '**.number': 'redact' },
      { ...card, number: X },
    ],
    [
      'all apply, in the order they are written',
      { 'card.number': 'last4', '**.number': (value) => `<${String(value)}>` },
      { ...card, number: '<****1234>' },
    ],
    ['a masked parent hides its children', { card: 'redact', 'card.number': 'last4' }, X],
    [
      'a masked parent hides its children, though it can only show strings',
      { card: 'last4', 'card.number': 'last4' },
      X,
    ],
    [
      'a function for the parent sees its children masked',
      { card: (value) => value, 'card.number': 'last4' },
      { ...card, number: '****1234' },
    ],
  ])('%s', (_what, map, expected) => {
    expect(sent(map, { card })).toEqual({ card: expected })
  })

  test('a function is not asked about what is already hidden', () => {
    const calls: unknown[] = []
    sent({ a: 'redact', '**.a': (value) => calls.push(value) }, { a: 'secret' })
    expect(calls).toEqual([])
  })
})

describe('functions made from text', () => {
  const hostile = ['"]; throw 1; //', '`${1}`', '__proto__', 'toJSON', '\u2028', '*/', 'name0', 'hasOwn', '0']

  test('have no name, style or value in it', () => {
    const made = jest.spyOn(globalThis, 'Function')
    try {
      for (const name of hostile) {
        const path = name.replace(/[\\.*]/g, '\\$&')
        const value: unknown = JSON.parse(
          `{${JSON.stringify(name)}:{${JSON.stringify(name)}:"secret"},"b":"secret"}`,
        )
        expect(sent({ [path]: 'redact', b: 'last4' }, value)).toEqual({ [name]: X, b: '****' })
        expect(JSON.stringify(masked({ [`${path}.${path}`]: 'redact' }, value))).not.toMatch(/secret.*secret/)
      }
      const texts = made.mock.calls.map((text) =>
        text.join('\n').replace(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/, ''),
      )
      expect(new Set(texts).size).toBeLessThanOrEqual(3)
      for (const text of texts) expect(text).not.toMatch(/throw|secret|redact|["`*\u2028]|__proto__/)
      expect(texts.length).toBeGreaterThan(hostile.length)
    } finally {
      made.mockRestore()
    }
  })

  test('are made once for each place, and not at all where they are forbidden', () => {
    const { apply } = compileMap('mask', { 'a.b': 'redact', c: 'last4' }, {}, undefined)
    const made = jest.spyOn(globalThis, 'Function')
    try {
      for (let i = 0; i < 10; i++) apply({ a: { b: i }, c: 'text' }, [])
      expect(made).toHaveBeenCalledTimes(2)
    } finally {
      made.mockRestore()
    }
    expect(withoutCode(() => sent({ 'a.b': 'redact' }, { a: { b: 1, c: 2 } }))).toEqual({ a: { b: X, c: 2 } })
  })

  test.each<[string, <T>(work: () => T) => T]>([
    ['made', (work) => work()],
    ['forbidden', withoutCode],
  ])('take nothing that all objects inherit for a member: %s', (_what, run) => {
    const inherited = Object.prototype as { email?: string; card?: object; name?: string }
    inherited.email = 'ann@example.com'
    inherited.card = { number: '4111111111111111' }
    Object.defineProperty(inherited, 'name', { get: () => 'Ann', configurable: true })
    try {
      const map: MaskMap = { email: 'email', name: 'redact', 'card.number': 'last4' }
      expect(run(() => JSON.stringify(masked(map, { a: 1 }, {})))).toBe('{"a":1}')
      expect(run(() => JSON.stringify(masked(map, { email: 'b@example.com' }, {})))).toBe(
        '{"email":"b***@example.com"}',
      )
    } finally {
      delete inherited.email
      delete inherited.card
      delete inherited.name
    }
  })
})

/** What comes out where text cannot become code. */
function withoutCode<T>(work: () => T): T {
  const made = jest.spyOn(globalThis, 'Function').mockImplementation(() => {
    throw new EvalError('Code generation from strings disallowed for this context')
  })
  try {
    return work()
  } finally {
    made.mockRestore()
  }
}

describe('unless', () => {
  const catalogue = compileCatalogue({ permissions: ['pii:read', 'pci:read'] })
  const compiled = compileMap(
    'mask',
    {
      email: { as: 'email', unless: 'pii:read' },
      name: { as: 'redact', unless: 'pii:read' },
      card: { as: 'last4', unless: 'pci:read' },
      ssn: 'redact',
    },
    {},
    catalogue,
  )
  const value = { email: 'ann@example.com', name: 'Ann', card: '4111111111111234', ssn: '1' }

  test('asks each distinct rule once', () => {
    expect(compiled.rules.map((rule) => rule.describe())).toEqual([
      'permission pii:read',
      'permission pci:read',
    ])
  })

  test.each<[string, boolean[], unknown]>([
    ['nobody', [], { email: 'a***@example.com', name: X, card: '****1234', ssn: X }],
    ['who holds nothing', [false, false], { email: 'a***@example.com', name: X, card: '****1234', ssn: X }],
    ['who holds one', [true, false], { ...value, card: '****1234', ssn: X }],
    ['who holds both', [true, true], { ...value, ssn: X }],
  ])('shows %s what they may see (ASVS 8.2.3)', (_who, held, expected) => {
    expect(compiled.apply(value, held)).toEqual(expected)
  })

  test('an excused path does not excuse from another', () => {
    const both = compileMap(
      'mask',
      { a: { as: 'redact', unless: 'pii:read' }, '**.a': 'last4' },
      {},
      catalogue,
    )
    expect(both.apply({ a: '12345678' }, [true])).toEqual({ a: '****5678' })
  })

  test('an excused parent still has masked children', () => {
    const both = compileMap(
      'mask',
      { a: { as: 'redact', unless: 'pii:read' }, 'a.b': 'redact' },
      {},
      catalogue,
    )
    expect(both.apply({ a: { b: 1, c: 2 } }, [true])).toEqual({ a: { b: X, c: 2 } })
    expect(both.apply({ a: { b: 1, c: 2 } }, [false])).toEqual({ a: X })
  })
})

describe('a malformed map is refused at start', () => {
  test.each<[unknown, RegExp]>([
    [{}, /must map at least one path.*got an empty object/],
    [[], /got an empty array/],
    ['a', /got a string of 1 characters/],
    [null, /got null/],
    [undefined, /got undefined/],
    [{ 'a..b': 'redact' }, /empty segment/],
    [{ a: 'last5' }, /^mask\["a"\] must be .*Did you mean "last4"\?/],
    [{ a: { as: 'redact' } }, /with both "as" and "unless", got an object with "as"/],
    [{ a: { unless: 'x' } }, /with both "as" and "unless"/],
    [{ a: { as: 'redact', unless: 'x', when: 'y' } }, /got an object with "as", "unless", "when"/],
    [{ a: {} }, /got an object with nothing/],
    [{ a: ['redact'] }, /got an array/],
    [{ a: { as: 'nothing', unless: 'x' } }, /^mask\["a"\]\.as must be/],
    [{ a: { as: 'redact', unless: '' } }, /^mask\["a"\]\.unless must be a permission/],
    [{ a: { as: 'redact', unless: { any: [] } } }, /^mask\["a"\]\.unless\.any must be a list/],
    [{ a: { as: 'redact', unless: 'pii:raed' } }, /no role grants.*Did you mean "pii:read"\?/],
    [{ a: 'hash' }, /needs a key/],
    [{ a: { as: 'hash', unless: 'pii:read' } }, /^mask\["a"\]\.as is 'hash', which needs a key/],
  ])('%j', (map, message) => {
    const compile = () =>
      compileMap('mask', map as MaskMap, {}, compileCatalogue({ permissions: ['pii:read'] }))
    expect(compile).toThrow(ConfigError)
    expect(compile).toThrow(message)
  })

  test.each([0, -1, 1.5, 1_001, Infinity, NaN, '10', null])('maxDepth %p', (maxDepth) => {
    expect(() => masked({ a: 'redact' }, {}, { maxDepth: maxDepth as never })).toThrow(
      /^mask\.maxDepth must be an integer/,
    )
  })
})

describe('for any map and any value', () => {
  test('agrees with the reference, which thinks of nothing but being right', () => {
    fc.assert(
      fc.property(anyPaths, anyJson, (paths, value) => {
        expect(sent(redacting(paths), value)).toEqual(referenceMask(paths, value))
      }),
      { numRuns: 500 },
    )
  })

  test('and so it does for values that only become JSON when they are written', () => {
    fc.assert(
      fc.property(anyPaths, anyJson.chain(disguised), (paths, value) => {
        const json: unknown = JSON.parse(JSON.stringify(value))
        expect(sent(redacting(paths), value)).toEqual(referenceMask(paths, json))
      }),
      { numRuns: 500 },
    )
  })

  test('and does the same where the process forbids to turn text into code', () => {
    fc.assert(
      fc.property(anyPaths, anyJson.chain(disguised), (paths, value) => {
        const json: unknown = JSON.parse(JSON.stringify(value))
        const shown = withoutCode(() => sent(redacting(paths), value))
        expect(shown).toEqual(referenceMask(paths, json))
        expect(shown).toEqual(sent(redacting(paths), value))
      }),
      { numRuns: 500 },
    )
  })

  test('no canary at a masked place gets out, whatever the style; all others are left alone (ASVS 14.2.6)', () => {
    const styles = fc.constantFrom<Style>(
      'redact',
      'last4',
      'email',
      'hash',
      () => 'own',
      () => undefined,
    )
    fc.assert(
      fc.property(fc.dictionary(anyPath, styles, { minKeys: 1, maxKeys: 4 }), anyJson, (map, shape) => {
        const canaries: { text: string; location: Step[] }[] = []
        const value = plant(shape, [], canaries)
        const text = JSON.stringify(masked(map, value))
        const watched = compileMap('mask', map, { key }, undefined).apply(value, [], new Set())
        expect(JSON.stringify(watched)).toBe(text)
        const patterns = Object.keys(map).map((path) => parsePath('mask', path))

        for (const { text: canary, location } of canaries) {
          const hidden = patterns.some((pattern) =>
            location.some((_, i) => leadsTo(pattern, location.slice(0, i + 1))),
          )
          expect([location, text.includes(canary)]).toEqual([location, !hidden])
        }
      }),
      { numRuns: 500 },
    )
  })

  test('the value itself is left as it was', () => {
    fc.assert(
      fc.property(anyPaths, anyJson, (paths, value) => {
        const before = structuredClone(value)
        masked(redacting(paths), deepFreeze(value))
        expect(value).toEqual(before)
      }),
    )
  })

  test('masking twice hides as much as masking once', () => {
    fc.assert(
      fc.property(anyPaths, anyPaths, anyJson, (first, second, value) => {
        const both = masked(redacting(second), masked(redacting(first), value))
        const text = JSON.stringify(both)
        expect(JSON.stringify(masked(redacting(first), both))).toBe(text)
        expect(JSON.stringify(masked(redacting(second), both))).toBe(text)
      }),
    )
  })

  test('shares with the original what no path leads into', () => {
    const value = { a: { b: 1 }, big: { list: [1, 2, 3] }, rows: [{ ssn: '1', rest: { c: 1 } }] }
    const copy = masked({ 'a.b': 'redact', 'rows.ssn': 'redact' }, value) as typeof value

    expect(copy.big).toBe(value.big)
    expect(copy.rows[0]!.rest).toBe(value.rows[0]!.rest)
    expect(copy.a).not.toBe(value.a)
  })

  const names = ['a', 'b', 'x', '0', '1', 'a.b', '*', '__proto__', 'constructor', 'length']
  const anyPath = fc
    .array(fc.constantFrom('*', '**', ...names.map((name) => name.replace(/[\\.*]/g, '\\$&'))), {
      minLength: 1,
      maxLength: 4,
    })
    .map((segments) =>
      segments.filter((one, i) => one !== '**' || (i < segments.length - 1 && segments[i + 1] !== '**')),
    )
    .map((segments) => segments.join('.'))
    .filter((path) => path !== '')
  const anyPaths = fc.array(anyPath, { minLength: 1, maxLength: 4 })
  const { node: anyJson } = fc.letrec<{ node: unknown }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 5, depthSize: 'small', withCrossShrink: true },
      fc.constantFrom<unknown>('text', 1, true, null),
      fc
        .array(fc.tuple(fc.constantFrom(...names), tie('node')), { minLength: 1, maxLength: 4 })
        .map((members) => Object.fromEntries(members) as unknown),
      fc.array(tie('node'), { maxLength: 3 }),
    ),
  }))

  function redacting(paths: readonly string[]): MaskMap {
    return Object.fromEntries(paths.map((path) => [path, 'redact' as const]))
  }

  /** A canary in the place of every value. */
  function plant(node: unknown, location: Step[], canaries: { text: string; location: Step[] }[]): unknown {
    if (Array.isArray(node)) return node.map((element, i) => plant(element, [...location, i], canaries))
    if (typeof node === 'object' && node !== null) {
      return Object.fromEntries(
        Object.entries(node).map(([key, member]) => [key, plant(member, [...location, key], canaries)]),
      )
    }
    const text = `canary-${canaries.length}-yranac`
    canaries.push({ text, location })
    return text
  }

  /** The same JSON from objects that are built otherwise: classes, getters, toJSON, proxies. */
  function disguised(node: unknown): fc.Arbitrary<unknown> {
    if (typeof node !== 'object' || node === null)
      return fc.constantFrom<unknown>(node, { toJSON: () => node })
    const inner = Array.isArray(node)
      ? fc.tuple(...node.map(disguised))
      : fc
          .tuple(...Object.values(node).map(disguised))
          .map((members) => Object.fromEntries(Object.keys(node).map((name, i) => [name, members[i]])))
    return fc
      .tuple(inner, fc.constantFrom('as it is', 'toJSON', 'proxy', 'getters', 'class'))
      .map(([value, disguise]) => {
        if (disguise === 'toJSON') return { toJSON: () => value, a: 'hidden', x: 'hidden' }
        if (disguise === 'proxy') return new Proxy(value, {})
        if (Array.isArray(value)) return value
        const target: object = disguise === 'class' ? new Document() : {}
        for (const [name, member] of Object.entries(value)) {
          Object.defineProperty(
            target,
            name,
            disguise === 'getters'
              ? { get: () => member, enumerable: true }
              : { value: member, enumerable: true, writable: true },
          )
        }
        return target
      })
  }

  class Document {
    get id() {
      return 'of the prototype, and so not in JSON'
    }
  }

  function deepFreeze(value: unknown): unknown {
    if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze)
    return value
  }
})
