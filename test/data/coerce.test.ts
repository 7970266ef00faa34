import fc from 'fast-check'
import { coerce, isList, mayRepeat } from '../../src/data/coerce.js'

const types = (own: string[], items: string[] = []) => ({ own: new Set(own), items: new Set(items) })

test.each([
  ['1', ['integer'], 1],
  ['-0', ['integer'], -0],
  ['1.0', ['integer'], 1],
  ['1e3', ['number'], 1000],
  ['9007199254740991', ['integer'], 9007199254740991],
  ['true', ['boolean'], true],
  ['false', ['boolean', 'integer'], false],
  ['1', ['string', 'integer'], '1'],
  ['true', [], 'true'],
])('%s for %j is %p', (text, own, value) => {
  expect(coerce(text, types(own))).toBe(value)
})

test.each([
  '',
  ' 1',
  '1 ',
  '+1',
  '01',
  '1.',
  '.1',
  '0x1',
  '1_0',
  '1n',
  'NaN',
  'Infinity',
  '1e999',
  '9007199254740993',
  '1,0',
  '\u0661',
])('%p is no number', (text) => {
  expect(coerce(text, types(['integer', 'number']))).toBe(text)
})

test.each(['1', '0', 'TRUE', 'yes', 'on', '', ' true'])('%p is no boolean', (text) => {
  expect(coerce(text, types(['boolean']))).toBe(text)
})

test('every safe number comes back from its JSON text', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true })),
      (value) => {
        fc.pre(!Number.isInteger(value) || Number.isSafeInteger(value))
        expect(coerce(JSON.stringify(value), types(['number']))).toBe(value + 0)
      },
    ),
  )
})

test('a list takes the types of its items', () => {
  expect(coerce(['1', 'x'], types(['array'], ['integer']))).toEqual([1, 'x'])
  expect(isList(types(['array']))).toBe(true)
  expect(isList(types(['array', 'string']))).toBe(false)
  expect(mayRepeat(types(['array', 'string']))).toBe(true)
  expect(mayRepeat(types(['string']))).toBe(false)
  expect(isList(undefined)).toBe(false)
})
