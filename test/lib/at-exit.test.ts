import { atExit } from '../../src/lib/at-exit.js'

test('however many ask for it, the process has one listener more, and none when all have called it off', () => {
  const before = process.listenerCount('exit')
  const callOff = Array.from({ length: 20 }, () => atExit(() => undefined))
  expect(process.listenerCount('exit')).toBe(before + 1)
  for (const each of callOff) each()
  callOff[0]!()
  expect(process.listenerCount('exit')).toBe(before)
})

test('all are done in turn, also behind one that fails', () => {
  const done: string[] = []
  const callOff = [
    atExit(() => {
      done.push('first')
      throw new Error('no')
    }),
    atExit(() => void done.push('second')),
  ]
  process.listeners('exit').at(-1)!.call(process, 0)
  for (const each of callOff) each()
  expect(done).toEqual(['first', 'second'])
})
