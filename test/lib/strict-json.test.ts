import fc from 'fast-check'
import { parseStrictObject } from '../../src/lib/strict-json.js'

const parse = (text: string) => parseStrictObject(Buffer.from(text))

test.each([
  '{}',
  ' {"a" : 1 } \n',
  '{"a":{"a":{"a":1}}}',
  '{"a":[{"b":1},{"b":2},"b","b"]}',
  '{"a":"b","b":"a"}',
  '{"a":",\\"a\\":"}',
  '{"a":"{\\"a\\":1,\\"a\\":2}"}',
  '{"a":"\\\\","b":"\\\\\\""}',
  '{"":1," ":2}',
  '{"__proto":1,"proto__":2,"___proto___":3,"constructor":4,"prototype":5}',
  '{"a":"\\ud83d\\ude00","\\u00e4":1}',
  '{"a":[[],{},[{}],""]}',
  '{"a":1,"A":2,"\\u0061b":3}',
  `{"a":${'['.repeat(31)}${']'.repeat(31)}}`,
])('%s is an object like JSON.parse makes it', (text) => {
  expect(parse(text)).toEqual(JSON.parse(text))
})

test.each([
  '{"a":1,"a":1}',
  '{"a":1,"b":2,"a":3}',
  '{"a":1,"\\u0061":2}',
  '{"\\u0061":1,"\\u0061":2}',
  '{"a":{"b":1,"b":2}}',
  '{"a":[{"b":[{"c":1,"c":2}]}]}',
  '{"a":{"x":1},"a":2}',
  '{"a":[],"a":[]}',
  '{"":1,"":2}',
  '{"a":"\\"","a":1}',
  '{"__proto__":{}}',
  '{"a":{"__proto__":1}}',
  '{"__pro\\u0074o__":1}',
  '{"\\u005f_proto__":1}',
  '{"a":"\\ud800"}',
  '{"a":"\\udc00"}',
  '{"\\ud800":1}',
  '{"a":"\\ud800x\\udc00"}',
  '{"a":"\\udc00\\ud800"}',
  `{"a":${'['.repeat(32)}${']'.repeat(32)}}`,
  `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`,
  '[]',
  '[{}]',
  'null',
  '1',
  '"a"',
  'true',
  '',
  ' ',
  '{',
  '{"a"}',
  '{"a":1,}',
  "{'a':1}",
  '{"a":1}{"b":2}',
  '{"a":01}',
  '{"a":NaN}',
  '{"a":1}//',
  '{"a":"\n"}',
  '\ufeff{}',
  '{"a":1e400}',
  '{"a":[-1e999]}',
  '{"constructor":{"prototype":{}}}',
])('%s is refused', (text) => expect(parse(text)).toBeUndefined())

test.each([
  ['a byte that begins nothing', [0xff]],
  ['a character that is cut off', [0xc3]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['half a surrogate pair', [0xed, 0xa0, 0x80]],
  ['a character beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
])('%s is no UTF-8', (_what, bytes) => {
  expect(parseStrictObject(Buffer.from([0x7b, 0x22, ...bytes, 0x22, 0x3a, 0x31, 0x7d]))).toBeUndefined()
})

test('whatever JSON.stringify writes of an object is read back', () =>
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), (value) => {
      const text = JSON.stringify(value)
      fc.pre(!text.includes('"__proto__"'))
      expect(parse(text)).toEqual(JSON.parse(text))
    }),
  ))

test('a name twice is seen wherever it stands', () =>
  fc.assert(
    fc.property(fc.string(), fc.jsonValue(), fc.jsonValue(), fc.nat(8), (name, one, other, depth) => {
      const pair = `{${JSON.stringify(name)}:${JSON.stringify(one)},${JSON.stringify(name)}:${JSON.stringify(other)}}`
      expect(parse(`${'{"a":['.repeat(depth)}${pair}${']}'.repeat(depth)}`)).toBeUndefined()
    }),
  ))

test('bytes of any kind are refused or an object, and never an error', () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      expect(['object', 'undefined']).toContain(typeof parseStrictObject(bytes))
    }),
  ))

test('a hundred thousand brackets neither recurse nor pass', () => {
  expect(parse(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)).toBeUndefined()
})
