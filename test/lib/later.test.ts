import { setImmediate as turn } from 'node:timers/promises'
import { later } from '../../src/lib/later.js'

test('one piece of work is done in each turn, in order, and none in this one', async () => {
  const done: number[] = []
  for (const piece of [1, 2, 3]) later(() => done.push(piece))
  expect(done).toEqual([])
  for (const so of [[1], [1, 2], [1, 2, 3]]) {
    await turn()
    expect(done).toEqual(so)
  }
  later(() => done.push(4))
  await turn()
  expect(done).toEqual([1, 2, 3, 4])
})

test('work that fails keeps no other from being done, and ends nothing', async () => {
  const done: string[] = []
  later(() => {
    throw new Error('not now')
  })
  later(() => done.push('more'))
  await turn()
  await turn()
  expect(done).toEqual(['more'])
})

test('work may bring more work', async () => {
  const done: string[] = []
  later(() => {
    later(() => done.push('inner'))
    done.push('outer')
  })
  await turn()
  expect(done).toEqual(['outer'])
  await turn()
  expect(done).toEqual(['outer', 'inner'])
})
