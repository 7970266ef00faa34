import { once } from '../../src/lib/once.js'

test('makes its value when it is asked, and only once', () => {
  let made = 0
  const value = once(() => (made++, undefined))
  expect(made).toBe(0)
  value()
  value()
  expect(made).toBe(1)
})
