import fc from 'fast-check'
import { ConfigError } from '../../src/kernel/config-error.js'
import { ANY, ONE, parsePath } from '../../src/data/mask-path.js'

test.each([
  ['a', ['a']],
  ['a.b.c', ['a', 'b', 'c']],
  ['*.a', [ONE, 'a']],
  ['a.*', ['a', ONE]],
  ['**.a', [ANY, 'a']],
  ['a.**.b', ['a', ANY, 'b']],
  ['**.*', [ANY, ONE]],
  ['**.a.**.b', [ANY, 'a', ANY, 'b']],
  ['*.**.*', [ONE, ANY, ONE]],
  ['a\\.b.c', ['a.b', 'c']],
  ['\\*', ['*']],
  ['\\*\\*.a', ['**', 'a']],
  ['a\\\\.b', ['a\\', 'b']],
  ['a b.c', ['a b', 'c']],
  ['__proto__.constructor', ['__proto__', 'constructor']],
  [' ', [' ']],
])('%s', (path, segments) => {
  expect(parsePath('mask', path)).toEqual(segments)
})

test.each([
  ['', /empty segment/],
  ['.', /empty segment/],
  ['.a', /empty segment/],
  ['a.', /empty segment/],
  ['a..b', /empty segment/],
  ['a*', /inside a key/],
  ['*a', /inside a key/],
  ['a.b*c', /inside a key/],
  ['*\\*', /inside a key/],
  ['***.a', /more than two stars/],
  ['**', /ends in "\*\*"/],
  ['a.**', /ends in "\*\*"/],
  ['**.**.a', /one is enough/],
  ['a\\b', /before something else/],
  ['a\\', /before something else/],
])('%j is refused at start', (path, message) => {
  expect(() => parsePath('mask', path)).toThrow(ConfigError)
  expect(() => parsePath('mask', path)).toThrow(message)
  expect(() => parsePath('mask', path)).toThrow(/^mask has the path "/)
})

test('any key can be written down', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 }), (keys) => {
      const path = keys.map((key) => key.replace(/[\\.*]/g, '\\$&')).join('.')
      expect(parsePath('mask', path)).toEqual(keys)
    }),
  )
})
