import { isObject } from './is-object.js'
import { parseJson } from './parse-json.js'

/** Nesting beyond this is refused, so that nothing that later walks the value meets a depth of the sender's choosing. */
const LIMITS = { maxDepth: 32, maxKeys: Infinity, maxArrayItems: Infinity }

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * A JSON object that every reader understands alike, or `undefined`: valid UTF-8 without a byte order mark, no member
 * twice, no lone surrogate and no number beyond a double (I-JSON, RFC 7493 sections 2.1 to 2.3), nothing called
 * `__proto__`, at most 32 levels.
 */
export function parseStrictObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return undefined
  }
  const json = parseJson(text, LIMITS)
  if (typeof json === 'string') return undefined
  const { value } = json
  return isObject(value) ? value : undefined
}
