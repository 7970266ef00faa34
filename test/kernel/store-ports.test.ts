import { ConfigError } from '../../src/kernel/config-error.js'
import { memory } from '../../src/kernel/memory.js'
import { createServices } from '../../src/kernel/services.js'
import { checkStore } from '../../src/kernel/store-ports.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { fakeClock } from '../../src/testing/index.js'

test.each<[string, unknown, string]>([
  ['nothing', undefined, 'got undefined'],
  ['null', null, 'got null'],
  ['a text', 'redis://', 'got a string of 8 characters'],
  ['no port', {}, 'got an object'],
  ['a port that is none', { counters: {} }, 'got an object'],
  ['a port that is none beside one that is', { ...memory(), records: null }, 'got an object'],
])('%s is no store', (_what, value, got) => {
  expect(() => checkStore('here.store', value)).toThrow(
    new ConfigError(`here.store must be made by redis(client), memory() or the like, ${got}`),
  )
})

test('a store must offer what is needed', () => {
  const { counters, records } = memory()
  expect(checkStore('store', { counters })).toEqual({ counters })
  expect(() => checkStore('store', { counters }, 'records')).toThrow(
    new ConfigError('store has no records, which is needed here; redis(client) and memory() have'),
  )
  expect(checkStore('store', { records }, 'records')).toEqual({ records })
})

test('whoever is given the same store shares its guard, and so its breaker', () => {
  const { portsOf, ...services } = createServices({ clock: fakeClock() })
  const [one, other] = [memory(), memory()]
  expect(portsOf(one).records).toBe(portsOf(one).records)
  expect(portsOf(one).records).not.toBe(portsOf(other).records)
  expect(portsOf(one).records).not.toBe(services.records)
})

test('what is around a memory, or made after it, may fail as any other store', async () => {
  const { records, once } = memory()
  const down = () => Promise.reject(new Error('down'))
  const log = { info: jest.fn(), warn: jest.fn(), error: jest.fn() }
  for (const failing of [
    { records: new Proxy(records, { get: () => down }), once: new Proxy(once, { get: () => down }) },
    {
      records: Object.assign(Object.create(records) as typeof records, { get: down }),
      once: Object.assign(Object.create(once) as typeof once, { claim: down }),
    },
  ]) {
    const ports = createServices({ clock: fakeClock(), log }).portsOf(failing)
    await expect(ports.records.get('s', 'k')).rejects.toThrow(StoreUnavailable)
    await expect(ports.once.claim('s', 'k', 1_000)).rejects.toThrow(StoreUnavailable)
  }
})

test('the general store is one of them', () => {
  const store = memory()
  const { portsOf, records, once, counters } = createServices({ store })
  expect(portsOf(store)).toEqual({ records, once, counters })
})

test('what a store does not offer is in the memory of this process, by its clock', async () => {
  const clock = fakeClock()
  const { records, once } = createServices({ clock, store: { counters: memory().counters } })
  await records.put('s', 'k', 'v', 1_000)
  expect(await once.claim('s', 'k', 1_000)).toBe(true)
  clock.advance(1_000)
  expect(await records.get('s', 'k')).toBeUndefined()
  expect(await once.claim('s', 'k', 1_000)).toBe(true)
})
