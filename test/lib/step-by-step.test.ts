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

test('of however much is begun in one turn, eight works wait, and the first is done first', async () => {
  const done: string[] = []
  const names = Array.from({ length: 1_000 }, (_, i) => `${i}-`)
  const works = names.map(async (name) => stepByStep(counting(name, 2, done)))
  const early = names.slice(0, 992).flatMap((name) => [`${name}1`, `${name}2`])
  expect(done).toEqual(early)
  for (const step of ['992-1', '992-2', '993-1']) {
    await turn()
    expect(done.at(-1)).toBe(step)
  }
  await expect(Promise.all(works)).resolves.toEqual(names)
})

test('work that fails while others are begun is rejected, and they are not', async () => {
  const failing = (function* (): Generator<undefined, never> {
    yield
    throw new Error('not now')
  })()
  const failed = expect(stepByStep(failing)).rejects.toThrow('not now')
  const others = Array.from({ length: 8 }, async (_, i) => stepByStep(counting(`${i}`, 2, [])))
  await failed
  await expect(Promise.all(others)).resolves.toHaveLength(8)
})
