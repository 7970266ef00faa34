import { inTime } from '../../src/lib/in-time.js'
import { fakeClock } from '../../src/testing/index.js'

const late = () => new Error('late')

test('hands on an answer and an error that come in time, and stops its timer', async () => {
  const cancelled: number[] = []
  const timer = { after: (ms: number) => () => void cancelled.push(ms) }
  await expect(inTime(timer, 10, Promise.resolve(1), late)).resolves.toBe(1)
  await expect(inTime(timer, 20, Promise.reject(new Error('own')), late)).rejects.toThrow('own')
  expect(cancelled).toEqual([10, 20])
})

test('gives up exactly when the time is over', async () => {
  const clock = fakeClock()
  let over = false
  const answer = inTime(clock, 10, new Promise(() => undefined), late).catch(() => (over = true))
  clock.advance(9)
  await Promise.resolve()
  expect(over).toBe(false)
  clock.advance(1)
  await answer
  expect(over).toBe(true)
})
