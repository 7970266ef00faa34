import { setImmediate as turn } from 'node:timers/promises'
import { body } from '../../src/data/body.js'
import type { Stage } from '../../src/kernel/stage.js'
import { validate } from '../../src/data/validate.js'

// A clock of the tests moves no turns of the event loop, and must not stop anybody from starting.
beforeAll(() => void jest.useFakeTimers())
afterAll(() => void jest.useRealTimers())

/** The first stages of the process, so that it is they who have the parser compiled. */
test('whoever waits for a stage with a parser waits until the engine has seen all that it compiles it for', async () => {
  const parse = jest.spyOn(JSON, 'parse')
  const stages: Stage[] = [body().stage, validate({ body: { type: 'object' } }).stage]
  expect(parse).not.toHaveBeenCalled()

  await Promise.all(stages.map((stage) => stage.ready!({} as never)))
  const before = parse.mock.calls.length
  for (let i = 0; i < 5; i++) await turn()

  expect(before).toBeGreaterThan(20)
  expect(parse).toHaveBeenCalledTimes(before)
})
