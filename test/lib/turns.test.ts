import { Turns } from '../../src/lib/turns.js'
import { fakeClock } from '../../src/testing/index.js'

test('lets so many go on at once, and the next when one is done, in the order they came', async () => {
  const clock = fakeClock()
  const turns = new Turns(2, 10)
  expect([turns.take(clock, 1_000), turns.take(clock, 1_000)]).toEqual([true, true])
  const order: number[] = []
  const third = Promise.resolve(turns.take(clock, 1_000)).then((now) => (order.push(3), now))
  const fourth = Promise.resolve(turns.take(clock, 1_000)).then((now) => (order.push(4), now))

  turns.done()
  expect(await third).toBe(true)
  turns.done()
  expect(await fourth).toBe(true)
  expect(order).toEqual([3, 4])

  turns.done()
  turns.done()
  expect(turns.take(clock, 1_000)).toBe(true)
})

test('nobody waits longer than told, and who left gets no turn', async () => {
  const clock = fakeClock()
  const turns = new Turns(1, 10)
  expect(turns.take(clock, 1_000)).toBe(true)
  const impatient = turns.take(clock, 1_000)
  const patient = turns.take(clock, 5_000)
  clock.advance(1_000)
  expect(await impatient).toBe(false)
  turns.done()
  expect(await patient).toBe(true)
})

test('no more wait than may', () => {
  const clock = fakeClock()
  const turns = new Turns(1, 1)
  expect(turns.take(clock, 1_000)).toBe(true)
  expect(turns.take(clock, 1_000)).toBeInstanceOf(Promise)
  expect(turns.take(clock, 1_000)).toBe(false)
})
