import fc from 'fast-check'
import { pointerFragment, pointerStep } from '../../src/lib/json-pointer.js'

/** RFC 6901 sections 4 and 6, the other way round. */
const read = (fragment: string) =>
  decodeURIComponent(fragment.slice(1))
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))

test('the steps can be read back from the fragment', () => {
  const names = fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 4 })
  fc.assert(
    fc.property(names, (steps) => {
      const fragment = pointerFragment(steps.map(pointerStep).join(''))
      // RFC 3986 section 3.5.
      expect(fragment).toMatch(/^#(?:[\w\-.~!$&'()*+,;=:@/?]|%[0-9A-F]{2})*$/)
      expect(read(fragment)).toEqual(steps)
    }),
  )
})

test.each([
  ['', '#'],
  ['/foo', '#/foo'],
  ['/a~1b', '#/a~1b'],
  ['/c%d', '#/c%25d'],
  ['/e^f', '#/e%5Ef'],
  ['/g|h', '#/g%7Ch'],
  ['/k"l', '#/k%22l'],
  ['/ ', '#/%20'],
  ['/m~0n', '#/m~0n'],
])('%p of RFC 6901 section 6 is %s', (pointer, fragment) => {
  expect(pointerFragment(pointer)).toBe(fragment)
})

test('what is too long or cannot be written is cut back to an ancestor', () => {
  expect(pointerFragment(`/a/${'b'.repeat(300)}`)).toBe('#/a')
  expect(pointerFragment(`/${'b'.repeat(300)}`)).toBe('#')
  expect(pointerFragment('/a/\ud800')).toBe('#')
})
