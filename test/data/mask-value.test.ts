import { maskValue } from '../../src/data/mask-value.js'

const event = { kind: 'decision', facts: { email: 'ann@example.com', card: { number: '4111111111111234' } } }

test('masks a value by the map of replies, and excuses nobody (ASVS 16.2.5)', () => {
  const masked = maskValue({ '**.email': { as: 'email', unless: 'authenticated' } })
  expect(masked(event)).toEqual({ ...event, facts: { ...event.facts, email: 'a***@example.com' } })
})

test('paths begin at the top, or anywhere if that is asked for', () => {
  const map = { 'card.number': 'last4' } as const
  expect(maskValue(map)(event)).toEqual(event)
  expect(maskValue(map, { anywhere: true })(event)).toEqual({
    ...event,
    facts: { ...event.facts, card: { number: '****1234' } },
  })
  expect(maskValue({ '**.number': 'last4' }, { anywhere: true })(event)).toEqual(
    maskValue(map, { anywhere: true })(event),
  )
})

test('leaves the value itself as it is, and throws what cannot be masked', () => {
  const before = structuredClone(event)
  maskValue({ '**.email': 'redact' })(event)
  expect(event).toEqual(before)

  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  expect(() => maskValue({ '**.email': 'redact' })(circular)).toThrow(/contains itself/)
})

test('checks the map at start', () => {
  expect(() => maskValue({ a: 'hash' }, { option: 'audit.mask' })).toThrow(/^audit\.mask\["a"\] is 'hash'/)
})
