/** How large the structure of a JSON document may be. */
export interface JsonLimits {
  /** Levels of arrays and objects inside one another. */
  readonly maxDepth: number
  /** Members of all objects together. */
  readonly maxKeys: number
  /** Elements of all arrays together. */
  readonly maxArrayItems: number
}

/** What a document spends of its limits. */
export interface JsonCost {
  readonly depth: number
  readonly keys: number
  readonly items: number
}

/** The stable name of the rule that a document breaks. */
export type JsonFault =
  | 'syntax'
  | 'too-deep'
  | 'too-many-keys'
  | 'too-many-items'
  | 'duplicate-key'
  | 'proto-key'
  | 'constructor-prototype'
  | 'lone-surrogate'
  | 'number-out-of-range'

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const SMALL_D = 0x64
const SMALL_U = 0x75

/** One array or object that is still open. */
interface Open {
  readonly isObject: boolean
  /** It is the value of a member named `constructor`. */
  readonly ofConstructor: boolean
  keys: string[] | Set<string> | undefined
  /** The member whose value comes next; `undefined` while a name is awaited. */
  key: string | undefined
  filled: boolean
}

/**
 * Measures JSON text before anything is built from it, in one pass without recursion. Exact for well-formed text; what
 * else it lets through fails in `JSON.parse`.
 */
export function scanJson(text: string, limits: JsonLimits): JsonCost | JsonFault {
  const open: Open[] = []
  let top: Open | undefined
  let depth = 0
  let keys = 0
  let items = 0

  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code <= 0x20) continue
    if (code === 0x7d || code === 0x5d) {
      if (top === undefined) return 'syntax'
      if (!top.isObject && top.filled && ++items > limits.maxArrayItems) return 'too-many-items'
      open.pop()
      top = open[open.length - 1]
      continue
    }
    if (code === COMMA) {
      if (top === undefined) return 'syntax'
      if (top.isObject) top.key = undefined
      else if (++items > limits.maxArrayItems) return 'too-many-items'
      continue
    }
    if (top !== undefined) top.filled = true

    if (code === 0x7b || code === 0x5b) {
      if (open.length === limits.maxDepth) return 'too-deep'
      top = {
        isObject: code === 0x7b,
        ofConstructor: top?.key === '"constructor',
        keys: undefined,
        key: undefined,
        filled: false,
      }
      depth = Math.max(depth, open.push(top))
    } else if (code === QUOTE) {
      const end = endOfString(text, i)
      if (typeof end === 'string') return end
      if (top?.isObject === true && top.key === undefined) {
        if (++keys > limits.maxKeys) return 'too-many-keys'
        const fault = takeKey(top, text.slice(i, end))
        if (fault !== undefined) return fault
      }
      i = end
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      const end = endOfNumber(text, i)
      if (end === undefined) return 'number-out-of-range'
      i = end - 1
    }
  }
  return open.length > 0 ? 'syntax' : { depth, keys, items }
}

/** Up to this many names, looking through a list is quicker than keeping a set. */
const FEW = 8

/** @param raw the name with its opening quote, as it was written */
function takeKey(object: Open, raw: string): JsonFault | undefined {
  const key = raw.includes('\\') ? unescaped(raw) : raw
  if (key === undefined) return 'syntax'
  if (key === '"__proto__') return 'proto-key'
  if (key === '"prototype' && object.ofConstructor) return 'constructor-prototype'

  const { keys } = object
  object.key = key
  if (keys === undefined) {
    object.keys = [key]
  } else if (keys instanceof Set) {
    if (keys.size === keys.add(key).size) return 'duplicate-key'
  } else {
    if (keys.includes(key)) return 'duplicate-key'
    if (keys.push(key) > FEW) object.keys = new Set(keys)
  }
  return undefined
}

function unescaped(raw: string): string | undefined {
  try {
    return `"${JSON.parse(`${raw}"`) as string}`
  } catch {
    return undefined
  }
}

/** @returns where the closing quote stands */
function endOfString(text: string, start: number): number | JsonFault {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) return i
    if (code !== BACKSLASH) continue
    i++
    if (text.charCodeAt(i) !== SMALL_U) continue
    const half = surrogateAt(text, i + 1)
    i += 4
    if (half === undefined) continue
    // RFC 8259 section 8.2: what receivers make of half a surrogate pair is unpredictable.
    if (half === 'low' || !text.startsWith('\\u', i + 1) || surrogateAt(text, i + 3) !== 'low')
      return 'lone-surrogate'
    i += 6
  }
  return 'syntax'
}

/** Which half of a surrogate pair the four hexadecimal digits at `at` name, if any. */
function surrogateAt(text: string, at: number): 'high' | 'low' | undefined {
  if ((text.charCodeAt(at) | 0x20) !== SMALL_D) return undefined
  const second = Number.parseInt(text.charAt(at + 1), 16)
  if (!(second >= 8)) return undefined
  return second < 12 ? 'high' : 'low'
}

/** The largest double has 309 digits before its point. */
const SURELY_FINITE_DIGITS = 308

/** @returns the index behind the number; `undefined` if it stands for infinity */
function endOfNumber(text: string, start: number): number | undefined {
  let end = start
  let digits = 0
  let point = false
  let exponentAt = 0
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code >= 0x30 && code <= 0x39) {
      if (!point && exponentAt === 0) digits++
    } else if (code === 0x2e) point = true
    else if (code === 0x65 || code === 0x45) exponentAt = end
    else if (code !== 0x2b && code !== 0x2d) break
  }
  const exponent = exponentAt === 0 ? 0 : Number(text.slice(exponentAt + 1, end))
  if (digits + exponent <= SURELY_FINITE_DIGITS) return end
  const value = Number(text.slice(start, end))
  return value === Infinity || value === -Infinity ? undefined : end
}
