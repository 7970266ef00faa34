import { later } from '../lib/later.js'
import { once } from '../lib/once.js'
import { parseJson } from '../lib/parse-json.js'

/** Something of everything that measuring looks at. */
const SAMPLE = JSON.stringify(
  Array.from({ length: 60 }, (_, i) => ({ [`a${i}`]: [i, '\n', -1.5e3, true, null], b: { c: 'x' } })),
)
const LIMITS = { maxDepth: 64, maxKeys: 10_000, maxArrayItems: 10_000 }
/** By then the engine has compiled the loops that a large body runs through. */
const ROUNDS = 40

/**
 * Has the engine compile the parser soon after start, in small pieces: a worst body that is among the first requests of a
 * process would otherwise be measured by its interpreter, which takes ten times as long.
 */
export const warmUpParser = once(() => {
  for (let round = 0; round < ROUNDS; round++) later(() => parseJson(SAMPLE, LIMITS))
})
