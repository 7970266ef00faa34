import fc from 'fast-check'
import { bodyLimits, tightenBody, type BodyOptions } from '../../src/data/body-limits.js'

const options = fc.record(
  {
    maxBytes: fc.integer({ min: 1, max: 1_000_000 }),
    maxUnreadBytes: fc.integer({ min: 0, max: 100_000_000 }),
    maxDepth: fc.integer({ min: 1, max: 512 }),
    maxKeys: fc.integer({ min: 1, max: 100_000 }),
    maxArrayItems: fc.integer({ min: 1, max: 100_000 }),
    timeoutMs: fc.integer({ min: 1, max: 100_000 }),
    scalars: fc.boolean(),
    charsets: fc.constantFrom(['utf-8'], ['utf-8', 'utf-16le']),
  },
  { requiredKeys: [] },
)

test('a route can tighten every limit and loosen none', () => {
  fc.assert(
    fc.property(options, options, (general, local) => {
      const before = bodyLimits(general)
      const after = bodyLimits(tightenBody(general, local)!)
      for (const name of [
        'maxBytes',
        'maxUnreadBytes',
        'maxDepth',
        'maxKeys',
        'maxArrayItems',
        'timeoutMs',
      ] as const) {
        expect(after[name]).toBeLessThanOrEqual(before[name])
        if (local[name] !== undefined) expect(after[name]).toBe(Math.min(before[name], local[name]))
      }
      expect(before.charsets).toEqual(expect.arrayContaining([...after.charsets]))
      if (!before.scalars) expect(after.scalars).toBe(false)
    }),
  )
})

test('a route that names no limit keeps those that are general', () => {
  const general: BodyOptions = { maxBytes: 5, maxDepth: 3, scalars: true, charsets: ['utf-16le', 'utf-8'] }
  expect(bodyLimits(tightenBody(general, {})!)).toEqual(bodyLimits(general))
})

test('a route says itself whether it wants raw bytes', () => {
  expect(tightenBody({}, { parse: 'raw' })?.parse).toBe('raw')
  expect(tightenBody({ parse: 'raw' }, { parse: 'json' })?.parse).toBe('json')
  expect(tightenBody({ parse: 'raw' }, {})?.parse).toBe('raw')
})

test('two settings without a common encoding exclude one another', () => {
  expect(tightenBody({ charsets: ['utf-8'] }, { charsets: ['utf-16le'] })).toBeUndefined()
})
