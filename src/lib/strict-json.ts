/** Nesting beyond this is refused, so that nothing that later walks the value meets a depth of the sender's choosing. */
const MAX_DEPTH = 32

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * A JSON object that every reader understands alike, or `undefined`: valid UTF-8 without a byte order mark, no member
 * twice and no lone surrogate (I-JSON, RFC 7493 sections 2.1 and 2.3), nothing called `__proto__`, at most 32 levels.
 */
export function parseStrictObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const text = utf8.decode(bytes)
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return isUnambiguous(text) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** Walks a text that is known to be JSON, without recursion: only strings, brackets and commas matter. */
function isUnambiguous(text: string): boolean {
  // One entry per open bracket: the names seen in an object, `undefined` for an array.
  const open: (Set<string> | undefined)[] = []
  let expectsName = false

  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at)
        const string = stringAt(text, at, end)
        if (string === undefined) return false
        if (expectsName && !isNewName(open.at(-1), string)) return false
        expectsName = false
        at = end
        break
      }
      case '{':
      case '[':
        expectsName = text[at] === '{'
        open.push(expectsName ? new Set() : undefined)
        if (open.length > MAX_DEPTH) return false
        break
      case '}':
      case ']':
        open.pop()
        expectsName = false
        break
      case ',':
        expectsName = open.at(-1) !== undefined
    }
  }
  return true
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}

/** The string between two quotes, unescaped; `undefined` if half a surrogate pair hides in its escapes. */
function stringAt(text: string, start: number, end: number): string | undefined {
  const raw = text.slice(start + 1, end)
  if (!raw.includes('\\')) return raw
  const string = JSON.parse(text.slice(start, end + 1)) as string
  return /\p{Surrogate}/u.test(string) ? undefined : string
}

function isNewName(names: Set<string> | undefined, name: string): boolean {
  if (names === undefined || name === '__proto__' || names.has(name)) return false
  names.add(name)
  return true
}
