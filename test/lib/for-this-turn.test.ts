import { forThisTurn } from '../../src/lib/for-this-turn.js'

test('shares what it made until the event loop is let go, and then forgets it', async () => {
  let made = 0
  const get = forThisTurn(() => ({ number: ++made }))
  expect(get()).toBe(get())
  expect(made).toBe(1)
  await Promise.resolve()
  expect(get().number).toBe(2)
  expect(get().number).toBe(2)
})

test('makes it again if making it failed', () => {
  let tries = 0
  const get = forThisTurn(() => {
    if (++tries === 1) throw new Error('not yet')
    return tries
  })
  expect(get).toThrow('not yet')
  expect(get()).toBe(2)
})
