import fc from 'fast-check'
import { parseTraceparent, RandomHex } from '../../src/observe/trace-context.js'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

describe('parseTraceparent', () => {
  test.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    [`00-${TRACE}-${SPAN}-ff`, true],
    [`00-${TRACE}-${SPAN}-02`, false],
  ])('reads %s', (value, sampled) => {
    expect(parseTraceparent(value)).toEqual({ traceId: TRACE, sampled })
  })

  test.each([
    ['another version', `01-${TRACE}-${SPAN}-01`],
    ['the forbidden version', `ff-${TRACE}-${SPAN}-01`],
    ['upper-case hex', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a trace id that is all zero', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id that is all zero', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['something behind it', `00-${TRACE}-${SPAN}-01-what`],
    ['a line end behind it', `00-${TRACE}-${SPAN}-01\n`],
    ['white space before it', ` 00-${TRACE}-${SPAN}-01`],
    ['two of them joined', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
    ['a short trace id', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['no hex', `00-${TRACE.replace('4', 'g')}-${SPAN}-01`],
    ['other separators', `00_${TRACE}_${SPAN}_01`],
    ['nothing', ''],
    ['no text', undefined],
    ['a list', [`00-${TRACE}-${SPAN}-01`]],
  ])('ignores %s', (_what, value) => {
    expect(parseTraceparent(value)).toBeUndefined()
  })

  test('never throws and only returns what it was given', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)),
        (value) => {
          const found = parseTraceparent(value)
          if (found !== undefined) expect(value.slice(3, 35)).toBe(found.traceId)
        },
      ),
    )
  })
})

test('RandomHex gives ids of the length asked for, none of them twice, across refills of its pool', () => {
  const random = new RandomHex()
  const ids = Array.from({ length: 2_000 }, (_, i) => random.take(i % 2 === 0 ? 8 : 16))

  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.every((id, i) => new RegExp(`^[0-9a-f]{${i % 2 === 0 ? 16 : 32}}$`).test(id))).toBe(true)
})
