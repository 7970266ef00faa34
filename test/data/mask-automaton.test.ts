import { compilePaths, type State } from '../../src/data/mask-automaton.js'
import { parsePath } from '../../src/data/mask-path.js'
import { ConfigError } from '../../src/kernel/config-error.js'

const compile = (...paths: string[]) =>
  compilePaths(
    'mask',
    paths.map((path) => parsePath('mask', path)),
  )

function ending(start: State, ...keys: string[]): readonly number[] | undefined {
  let state: State | undefined = start
  for (const key of keys) state = state?.byName.get(key) ?? state?.other
  return state?.ending
}

test('says which paths end where', () => {
  const start = compile('a.b', '**.b', 'a.*')
  expect(ending(start, 'a')).toEqual([])
  expect(ending(start, 'a', 'b')).toEqual([0, 1, 2])
  expect(ending(start, 'a', 'c')).toEqual([2])
  expect(ending(start, 'c', 'b')).toEqual([1])
})

test('knows where nothing below can be masked', () => {
  const start = compile('a.b')
  expect(ending(start, 'c')).toBeUndefined()
  expect(ending(start, 'a', 'c')).toBeUndefined()
  expect(ending(start, 'a', 'b', 'c')).toBeUndefined()
})

test('hundreds of paths stay small, and states are shared', () => {
  const start = compile(...Array.from({ length: 300 }, (_, i) => `**.secret${i}`))
  expect(start.byName.size).toBe(300)
  expect(start.other).toBe(start.other?.other)
})

test('paths that would multiply are refused at start instead of filling the memory', () => {
  expect(() => compile(`**.a.${'*.'.repeat(20)}b`)).toThrow(ConfigError)
  expect(() => compile(`**.a.${'*.'.repeat(20)}b`)).toThrow(/^mask has paths that multiply to more than 2000/)
})
