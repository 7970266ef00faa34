import timers from 'node:timers'
import { atEndOfTurn, inStep } from '../../src/lib/in-step.js'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('what goes in step goes in its order, after the call, and the end of the turn comes behind all of it', async () => {
  const log: string[] = []
  atEndOfTurn(() => log.push('end'))
  inStep(() => {
    log.push('one')
    void Promise.resolve().then(() => log.push('promise of one'))
    atEndOfTurn(() => log.push('end, told by one'))
  })
  inStep(() => log.push('two'))
  expect(log).toEqual([])
  await turn()
  expect(log).toEqual(['one', 'promise of one', 'two', 'end', 'end, told by one'])
})

test('an end of the turn that is told where nothing goes in step comes all the same, once', async () => {
  let ends = 0
  atEndOfTurn(() => ends++)
  await turn()
  inStep(() => undefined)
  await turn()
  expect(ends).toBe(1)
})

test('what goes in step again and again does not put the end off for ever', async () => {
  const seen = { ended: false, steps: 0 }
  const isOver = () => seen.ended || seen.steps > 30_000
  atEndOfTurn(() => (seen.ended = true))
  const again = () => {
    seen.steps++
    if (!isOver()) inStep(again)
  }
  again()
  while (!isOver()) await turn()
  expect(seen.steps).toBeLessThan(30_000)
})

test('timers that somebody has put in the place of those of Node stop nothing', async () => {
  const { setImmediate, clearImmediate } = timers
  Object.assign(timers, { setImmediate: () => undefined, clearImmediate: () => undefined })
  try {
    await new Promise<void>((resolve) => inStep(() => atEndOfTurn(resolve)))
  } finally {
    Object.assign(timers, { setImmediate, clearImmediate })
  }
})
