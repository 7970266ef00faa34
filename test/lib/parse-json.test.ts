import fc from 'fast-check'
import type { JsonLimits } from '../../src/lib/measure-text.js'
import { parseJson, parseJsonInSteps } from '../../src/lib/parse-json.js'

const limits: JsonLimits = { maxDepth: 64, maxKeys: 1_000, maxArrayItems: 1_000 }
const scan = (text: string, tighter: Partial<JsonLimits> = {}) => {
  const parsed = parseJson(text, { ...limits, ...tighter })
  return typeof parsed === 'string' ? parsed : parsed.cost
}

/** The same figures, taken from the parsed value by plain recursion. */
function costOf(value: unknown): { depth: number; keys: number; items: number } {
  if (typeof value !== 'object' || value === null) return { depth: 0, keys: 0, items: 0 }
  const below = Object.values(value).map(costOf)
  const sum = (name: 'keys' | 'items') => below.reduce((total, cost) => total + cost[name], 0)
  return {
    depth: 1 + Math.max(0, ...below.map(({ depth }) => depth)),
    keys: sum('keys') + (Array.isArray(value) ? 0 : Object.keys(value).length),
    items: sum('items') + (Array.isArray(value) ? value.length : 0),
  }
}

const plainKeys = fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__' && key !== 'prototype')

test('measures every document as the parsed value shows it, however it is laid out', () => {
  const document = fc.jsonValue({ stringUnit: 'grapheme', maxDepth: 6 })
  fc.assert(
    fc.property(document, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent)
      fc.pre(!text.includes('proto'))
      expect(scan(text)).toEqual(costOf(JSON.parse(text)))
    }),
    { numRuns: 1_000 },
  )
})

test('ends on any text, and says syntax only of text that JSON.parse refuses as well', () => {
  const jsonish = fc.array(
    fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '\\', '\\u', 'd800', '1', 'e9', '-', ' ', 'a'),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        jsonish.map((parts) => parts.join('')),
      ),
      (text) => {
        if (scan(text) === 'syntax') expect(() => JSON.parse(text)).toThrow(SyntaxError)
      },
    ),
    { numRuns: 5_000 },
  )
})

test('says the same in steps as at once, of any text', () => {
  const parts = ['{', '}', '[', ']', '"', ':', ',', '"a":', '1', '1e999', '"\\ud800"', '"__proto__":', ' ']
  const jsonish = fc.array(fc.constantFrom(...parts)).map((some) => some.join(''))
  const tight = { maxDepth: 3, maxKeys: 5, maxArrayItems: 5 }
  fc.assert(
    fc.property(fc.oneof(fc.json({ maxDepth: 4 }), jsonish), fc.constantFrom(limits, tight), (text, most) => {
      const steps = parseJsonInSteps(text, most)
      let step = steps.next()
      for (let more = 0; more < 3 && step.done !== true; more++) step = steps.next()
      expect(step).toEqual({ done: true, value: parseJson(text, most) })
    }),
    { numRuns: 3_000 },
  )
})

test('finds a name that comes twice wherever it stands and however it is written', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(plainKeys, { minLength: 1, maxLength: 30 }),
      fc.nat(),
      fc.nat(),
      fc.boolean(),
      (keys, which, where, escape) => {
        const twin = keys[which % keys.length]!
        const written = escape ? `"${escaped(twin)}"` : JSON.stringify(twin)
        const members = keys.map((key) => `${JSON.stringify(key)}:0`)
        expect(scan(`[{${members.join()}}]`)).toMatchObject({ keys: keys.length })
        members.splice(where % (members.length + 1), 0, `${written}:1`)
        expect(scan(`[{${members.join()}}]`)).toBe('duplicate-key')
      },
    ),
  )
})

const escaped = (text: string) =>
  Array.from(
    { length: text.length },
    (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`,
  ).join('')

test.each([
  '{"a":{"b":1,"c":[2,{"d":3}]},"a":4}',
  '{"a":1,"b":{"c":2},"a":{"d":3}}',
  '[{"a":1},{"a":2,"a":[]}]',
  '{"1":1,"\\u0031":2}',
  '{"":1,"":2}',
  '{"toString":1,"toString":2}',
])('refuses %s, whatever the name that is lost had in it', (text) => {
  expect(scan(text)).toBe('duplicate-key')
})

test.each([
  ['{"a":1,"b":{"a":2}}', 'in an object within'],
  ['[{"a":1},{"a":2}]', 'in a sibling'],
  ['{"a":"a","b":"a"}', 'as a value'],
  ['{"a":1,"A":2}', 'in another case'],
  ['{"\u00e9":1,"e\u0301":2}', 'in another normal form'],
])('takes %s: the name is used again %s', (text) => {
  expect(typeof scan(text)).toBe('object')
})

test.each([
  ['{"__proto__":{"admin":true}}', 'proto-key'],
  ['{"a":[{"b":{"__proto__":1}}]}', 'proto-key'],
  ['{"\\u005f_proto__":1}', 'proto-key'],
  ['{"__pro\\u0074o__":1}', 'proto-key'],
  ['{"\\u005F\\u005f\\u0070roto\\u005f_":1}', 'proto-key'],
  ['{"constructor":{"prototype":{"admin":true}}}', 'constructor-prototype'],
  ['{"constr\\u0075ctor":{"a":1,"pr\\u006ftotype":{}}}', 'constructor-prototype'],
  ['{"a":{"constructor" : { "x":{}, "prototype" :1}}}', 'constructor-prototype'],
])('refuses %s', (text, fault) => {
  expect(scan(text)).toBe(fault)
})

test.each([
  '{"proto":1,"__proto":2,"proto__":3,"_proto_":4}',
  '{"constructor":"Mercedes","prototype":"W196"}',
  '{"constructor":["prototype"],"a":{"prototype":1}}',
  '{"constructor":{"name":"x"},"b":{"prototype":1}}',
  '{"a":"__proto__","b":"constructor.prototype"}',
  '{"constructor":{"a":{"prototype":1}}}',
  '{"":0," ":1}',
  '"__proto__"',
])('takes the look-alike %s', (text) => {
  expect(typeof scan(text)).toBe('object')
})

test.each([
  ['"\\ud800"', 'lone-surrogate'],
  ['"\\uDBFF\\u0041"', 'lone-surrogate'],
  ['"\\udc00"', 'lone-surrogate'],
  ['"\\uDE00\\uD83D"', 'lone-surrogate'],
  ['"\\ud83d\u{1F600}"', 'lone-surrogate'],
  ['{"\\ud800":1}', 'lone-surrogate'],
  ['1e400', 'number-out-of-range'],
  ['[-1E+309]', 'number-out-of-range'],
  [`{"a":9${'00000'.repeat(62)}}`, 'number-out-of-range'],
  ['1.8e308', 'number-out-of-range'],
])('refuses %.40s: it means different things to different readers', (text, fault) => {
  expect(scan(text)).toBe(fault)
})

test.each([
  '"\\ud83d\\ude00"',
  '"\u{1F600}"',
  '"\\\\ud800"',
  '"\\\\\\\\ud800"',
  '"\\u00e9\\ud7ff\\ue000"',
  '"\\""',
  '1.7976931348623157e308',
  '1e-400',
  `0.${'9'.repeat(400)}`,
  '9'.repeat(308),
  '-0',
  '1E5',
])('takes %.40s', (text) => {
  expect(typeof scan(text)).toBe('object')
  expect(() => JSON.parse(text)).not.toThrow()
})

describe('each limit holds exactly', () => {
  test('on depth', () => {
    const nested = (depth: number) => '[{"a":'.repeat(depth / 2) + '1' + '}]'.repeat(depth / 2)
    expect(scan(nested(64))).toMatchObject({ depth: 64 })
    expect(scan(nested(66))).toBe('too-deep')
    expect(scan('['.repeat(1_000_000))).toBe('too-deep')
  })

  test('on keys of all objects together', () => {
    expect(scan('[{"a":1},{"a":1},{"a":1}]', { maxKeys: 3 })).toMatchObject({ keys: 3 })
    expect(scan('[{"a":1},{"a":1},{"a":1}]', { maxKeys: 2 })).toBe('too-many-keys')
  })

  test('and reading ends at the first that is passed', () => {
    const deep = '['.repeat(65)
    expect(scan(`{"a":1,"b":2,"c":${deep}`, { maxKeys: 2 })).toBe('too-many-keys')
    expect(scan(`[1,2,3,4${deep}`, { maxArrayItems: 2 })).toBe('too-many-items')
    expect(scan(`{"a":[1,2],"b":${deep}`, { maxKeys: 2, maxArrayItems: 2 })).toBe('too-deep')
  })

  test('whatever is laid out as a member or an item, at the limit and one beyond', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'grapheme', maxDepth: 4 }), (value) => {
        const text = JSON.stringify(value)
        fc.pre(!text.includes('proto'))
        const { depth, keys, items } = costOf(value)
        const exact = { maxDepth: depth, maxKeys: keys, maxArrayItems: items }
        expect(scan(text, exact)).toEqual({ depth, keys, items })
        if (keys > 0) expect(scan(text, { ...exact, maxKeys: keys - 1 })).toBe('too-many-keys')
        if (items > 0) expect(scan(text, { ...exact, maxArrayItems: items - 1 })).toBe('too-many-items')
        if (depth > 0) expect(scan(text, { ...exact, maxDepth: depth - 1 })).toBe('too-deep')
      }),
    )
  })

  test('on items of all arrays together', () => {
    expect(scan('[[1,2],[],[3]]', { maxArrayItems: 6 })).toMatchObject({ items: 6 })
    expect(scan('[[1,2],[],[3]]', { maxArrayItems: 5 })).toBe('too-many-items')
    expect(scan('[[]]', { maxArrayItems: 1 })).toMatchObject({ items: 1 })
  })
})
