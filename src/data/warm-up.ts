import { later } from '../lib/later.js'
import { once } from '../lib/once.js'
import { parseJson } from '../lib/parse-json.js'
import { parseStrictObject } from '../lib/strict-json.js'
import { bodyLimits } from './body-limits.js'

/** Something of everything that measuring looks at, in each form that the engine keeps apart from others. */
const SAMPLE = JSON.stringify(
  Array.from({ length: 60 }, (_, i) => ({ [`a${i}`]: [i, '\n', -1.5e3, true, null], b: { c: 'x', [i]: 1 } })),
)
const ARRAYS = JSON.stringify([[1, 2], [0.5, 1.5], ['a', 'b'], [[[]], [[1]]], [{}, {}], [], null, {}])
/** So many that the engine makes a hash table of them. */
const MANY = JSON.stringify(Object.fromEntries(Array.from({ length: 1_100 }, (_, i) => [`a${i}`, i])))
/** By then the engine has compiled the loops that a large body runs through. */
const ROUNDS = 40

/**
 * Has the engine compile the parser soon after start, in small pieces: a worst body that is among the first requests of a
 * process would otherwise be measured by its interpreter, which takes ten times as long. Half of the pieces are worse than
 * none, so whoever waits for it, waits for all.
 */
export const warmUpParser = once(() => {
  // All that it will meet: what the engine compiles for some kinds of limits, it throws away when it meets another kind.
  const limits = bodyLimits({})
  const torn = SAMPLE.replaceAll('"c"', '"\\u0063"')
  const object = Buffer.from(`{"a":${torn}}`)
  const pieces = [
    () => parseJson(SAMPLE, limits),
    () => parseStrictObject(object),
    () => parseJson(torn, limits),
    () => parseJson(ARRAYS, limits),
  ]
  later(() => parseJson(MANY, limits))
  for (let round = 0; round < ROUNDS; round++) later(pieces[round % pieces.length]!)
  return new Promise<void>(later)
})
