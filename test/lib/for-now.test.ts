import { setImmediate as turn } from 'node:timers/promises'
import { forNow } from '../../src/lib/for-now.js'
import { later } from '../../src/lib/later.js'

test('shares what it made until waiting work is done, and then forgets it', async () => {
  let made = 0
  const seen: number[] = []
  const get = forNow(() => ({ number: ++made }))
  for (let piece = 0; piece < 3; piece++) later(() => seen.push(get().number))
  expect(get()).toBe(get())
  for (let turns = 0; turns < 3; turns++) await turn()
  expect(seen).toEqual([1, 1, 1])
  await turn()
  expect(get().number).toBe(2)
  expect(get().number).toBe(2)
})

test('makes it again if making it failed', () => {
  let tries = 0
  const get = forNow(() => {
    if (++tries === 1) throw new Error('not yet')
    return tries
  })
  expect(get).toThrow('not yet')
  expect(get()).toBe(2)
})
