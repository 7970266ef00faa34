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
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * Measures JSON text before anything is built from it, in one pass without recursion and without looking into strings,
 * which ends where a limit is passed. The figures are exact for well-formed text; whatever else it lets through fails in
 * `JSON.parse`.
 */
export function measureText(
  text: string,
  { maxDepth, maxKeys, maxArrayItems }: JsonLimits,
): JsonCost | JsonFault {
  let depth = 0
  let deepest = 0
  /** Arrays and objects that have something in them. */
  let filled = 0
  let commas = 0
  let keys = 0
  let justOpened = false

  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code <= 0x20) continue
    if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) depth--
    else if (justOpened) filled++
    justOpened = code === OPEN_ARRAY || code === OPEN_OBJECT

    if (justOpened) {
      if (++depth > maxDepth) return 'too-deep'
      if (depth > deepest) deepest = depth
    } else if (code === QUOTE) i = endOfString(text, i)
    else if (code === COMMA) {
      // A member counts as an item until its colon comes.
      if (++commas + filled - keys > maxArrayItems + 1) return 'too-many-items'
    } else if (code === COLON && ++keys > maxKeys) return 'too-many-keys'
  }
  // What is filled has one more part than commas, and every part is a member, which has a colon, or an item.
  const items = commas + filled - keys
  return items > maxArrayItems ? 'too-many-items' : { depth: deepest, keys, items }
}

/** @returns where the closing quote stands, or the end of the text */
function endOfString(text: string, start: number): number {
  let end = start
  do end = text.indexOf('"', end + 1)
  while (end !== -1 && isEscaped(text, end))
  return end === -1 ? text.length : end
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1
  while (text.charCodeAt(before) === BACKSLASH) before--
  return (at - before) % 2 === 0
}
