import { types } from 'node:util'

/**
 * What `JSON.stringify` sees in the place of a value: the result of its `toJSON`, and a primitive in the place of its
 * object form (ECMA-262 section 25.5.2.2, SerializeJSONProperty, steps 2 and 4).
 */
export function asJson(value: unknown, key: string | number): unknown {
  let seen = value
  if ((typeof seen === 'object' && seen !== null) || typeof seen === 'function' || typeof seen === 'bigint') {
    const { toJSON } = seen as { toJSON?: unknown }
    if (typeof toJSON === 'function') seen = (toJSON as (key: string) => unknown).call(seen, String(key))
  }
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
