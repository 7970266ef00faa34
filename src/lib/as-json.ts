import { types } from 'node:util'

/**
 * What `JSON.stringify` sees in the place of a value: the result of its `toJSON`, and a primitive in the place of its
 * object form (ECMA-262 section 25.5.2.2, SerializeJSONProperty, steps 2 and 4).
 */
export function asJson(value: unknown, key: string | number): unknown {
  const isAsked =
    (typeof value === 'object' && value !== null) || typeof value === 'function' || typeof value === 'bigint'
  return isAsked ? asJsonBy((value as { toJSON?: unknown }).toJSON, value, key) : value
}

/** The same of what may have a `toJSON`, which is read already: a second reading might give another one. */
export function asJsonBy(toJSON: unknown, value: unknown, key: string | number): unknown {
  const seen =
    typeof toJSON === 'function' ? (toJSON as (key: string) => unknown).call(value, String(key)) : value
  return typeof seen === 'object' && seen !== null && !isPlain(seen) && types.isBoxedPrimitive(seen)
    ? unboxed(seen)
    : seen
}

function unboxed(value: object): unknown {
  if (types.isNumberObject(value)) return Number(value)
  if (types.isStringObject(value)) return String(value)
  // A boxed symbol is an ordinary object to JSON.
  return types.isSymbolObject(value) ? value : value.valueOf()
}

/** Spares the usual objects the dearer question. */
function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype || Array.isArray(value)
}

/** Text that `JSON.stringify` copies as it is (`JSON.rawJSON`, where the engine has it): a primitive, though an object. */
export function isRawJson(value: object): boolean {
  if (Object.getPrototypeOf(value) !== null) return false
  const { isRawJSON } = JSON as { isRawJSON?: (value: unknown) => boolean }
  return isRawJSON !== undefined && isRawJSON(value)
}
