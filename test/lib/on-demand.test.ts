import { onDemand } from '../../src/lib/on-demand.js'

test('loads once, for all who wait, and is there at once from then on', async () => {
  const thing = { loads: 0 }
  const get = onDemand(() => {
    thing.loads++
    return Promise.resolve(thing)
  })
  expect(thing.loads).toBe(0)
  const [first, second] = [get(), get()]
  expect(first).toBeInstanceOf(Promise)
  expect(await first).toBe(thing)
  expect(await second).toBe(thing)
  expect(get()).toBe(thing)
  expect(thing.loads).toBe(1)
})

test('tries again what failed', async () => {
  const thing = {}
  let tries = 0
  const get = onDemand(() => (++tries === 1 ? Promise.reject(new Error('not here')) : Promise.resolve(thing)))
  await expect(get()).rejects.toThrow('not here')
  expect(await get()).toBe(thing)
  expect(get()).toBe(thing)
})
