import { parseCookies } from '../lib/cookie-pairs.js'
import { once } from '../lib/once.js'
import { parseJson, parseJsonInSteps } from '../lib/parse-json.js'
import { parseQuery, type FieldFault, type Fields } from '../lib/query-string.js'
import { parseStrictObject } from '../lib/strict-json.js'
import { stepByStep } from '../lib/step-by-step.js'
import { warmUp } from '../lib/warm-up.js'
import { bodyLimits, type BodyLimits } from './body-limits.js'
import type { Checker } from './checker.js'
import { readFields, type TextPart } from './request-parts.js'

/** Something of everything that measuring looks at, in each form that the engine keeps apart from others. */
const SAMPLE = JSON.stringify(
  Array.from({ length: 60 }, (_, i) => ({ [`a${i}`]: [i, '\n', -1.5e3, true, null], b: { c: 'x', [i]: 1 } })),
)
const ARRAYS = JSON.stringify([[1, 2], [0.5, 1.5], ['a', 'b'], [[[]], [[1]]], [{}, {}], [], null, {}])
/**
 * A body that costs about as much as one may: it grows the heap to what that takes while nobody waits, instead of in the
 * middle of the first such request. Of so many members the engine makes a hash table.
 */
function* worst(limits: BodyLimits): Generator<undefined, unknown> {
  const text = `{${Array.from({ length: limits.maxKeys - 10 }, (_, i) => `"a${i}":1`).join()}}`
  yield
  return yield* parseJsonInSteps(text, limits)
}

/** Has the engine compile the parser, for all that it will meet: also of limits it tells one kind from another. */
export const warmUpParser = once(() => {
  const limits = bodyLimits({})
  const torn = SAMPLE.replaceAll('"c"', '"\\u0063"')
  const object = Buffer.from(`{"a":${torn}}`)
  // Twice, so that the first full collection, which start-up brings near, is mostly over before the first request as well.
  for (let time = 0; time < 2; time++) void stepByStep(worst(limits))
  return warmUp([
    () => parseJson(SAMPLE, limits),
    () => parseStrictObject(object),
    () => parseJson(torn, limits),
    () => parseJson(ARRAYS, limits),
  ])
})

const FIELDS = Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? `${i * 7_919}=%41+b` : ` a${i} = "c"`))
/** The same for what reads queries and cookies. */
export const warmUpFields = once(() => {
  const query = `/?${FIELDS.join('&')}`
  const cookies = FIELDS.join(';')
  const wanted = new Set(['a1', 'a2'])
  const text = { own: new Set(['string']), items: new Set<string>() }
  const schema = { kind: 'json-schema', shape: { names: undefined, types: new Map([['a1', text]]) } }
  return warmUp([
    () => readWarm('query', parseQuery(query), schema),
    () => readWarm('cookies', parseCookies(cookies, undefined), schema),
    () => parseCookies(cookies, wanted),
  ])
})

function readWarm(part: TextPart, fields: Fields | FieldFault, schema: Pick<Checker, 'kind' | 'shape'>) {
  if (typeof fields !== 'string') readFields(undefined, part, fields, schema, new Set())
}
