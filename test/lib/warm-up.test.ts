import { setImmediate as turn } from 'node:timers/promises'
import { warmUp } from '../../src/lib/warm-up.js'

test('each piece has its turn, again and again, and whoever waits is told when it is done', async () => {
  const done: string[] = []
  let isOver = false
  void warmUp([() => done.push('a'), () => done.push('b')]).then(() => (isOver = true))
  expect(done).toEqual([])
  await turn()
  await turn()
  await turn()
  expect(done).toEqual(['a', 'b', 'a'])

  await warmUp([() => undefined])
  expect(isOver).toBe(true)
  expect(done).toHaveLength(40)
  await turn()
  expect(done).toHaveLength(40)
})
