import { setImmediate as turn } from 'node:timers/promises'
import { stepByStep } from '../../src/lib/step-by-step.js'

function* counting(name: string, steps: number, done: string[]): Generator<undefined, string> {
  for (let step = 1; step <= steps; step++) {
    done.push(`${name}${step}`)
    if (step < steps) yield
  }
  return name
}

test('one step is done in each turn, and none in this one', async () => {
  const done: string[] = []
  const work = stepByStep(counting('a', 3, done))
  expect(done).toEqual([])
  for (const so of [['a1'], ['a1', 'a2'], ['a1', 'a2', 'a3']]) {
    await turn()
    expect(done).toEqual(so)
  }
  await expect(work).resolves.toBe('a')
})

test('one work is done before the next one is begun, and what comes of it is there before that', async () => {
  const done: string[] = []
  const works = ['a', 'b'].map(async (name) => done.push(await stepByStep(counting(name, 2, done))))
  await Promise.all(works)
  expect(done).toEqual(['a1', 'a2', 'a', 'b1', 'b2', 'b'])
})

test('work that fails is rejected, and keeps no other from being done', async () => {
  const failed = stepByStep(
    (function* (): Generator<undefined, never> {
      yield
      throw new Error('not now')
    })(),
  )
  const other = stepByStep(counting('b', 2, []))
  await expect(failed).rejects.toThrow('not now')
  await expect(other).resolves.toBe('b')
})

test('work may begin when all other work is over', async () => {
  await stepByStep(counting('a', 2, []))
  await turn()
  await expect(stepByStep(counting('b', 2, []))).resolves.toBe('b')
})
