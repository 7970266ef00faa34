/** Why a path may mean one thing to one reader and another thing to the next. */
export type Ambiguity =
  | 'absolute-form'
  | 'asterisk-form'
  | 'backslash'
  | 'control-character'
  | 'dot-segment'
  | 'double-encoding'
  | 'duplicate-slash'
  | 'encoded-slash'
  | 'fragment'
  | 'invalid-encoding'
  | 'semicolon'
  | 'unencoded-character'

const NONE: ReadonlySet<Ambiguity> = new Set()

/** Every ambiguity has one of these in it. Most paths have none, and the engine finds that out faster than a loop. */
const SUSPICIOUS = /[^!-~]|[#%;\\]|\/[./]/

/**
 * The first ambiguity of a path, which is a request target up to its `?`; `undefined` if every reader understands it the
 * same way. Percent-encoding is decoded once, as it must be (ASVS 1.1.1), and what comes out is judged like what was
 * written plainly. One pass, no backtracking.
 *
 * @param allowed ambiguities that are accepted
 */
export function ambiguityOf(path: string, allowed: ReadonlySet<Ambiguity> = NONE): Ambiguity | undefined {
  if (path.charCodeAt(0) !== SLASH) return path === '*' ? 'asterisk-form' : 'absolute-form'
  if (!SUSPICIOUS.test(path)) return undefined

  /** How many dots the segment consists of so far; -1 once it has anything else. */
  let dots = 0
  let segmentStart = 1
  /** How far the decoded text looks like percent-encoding again: 1 after its `%`, 2 after one more hex digit. */
  let encodedAgain = 0

  for (let at = 1; at < path.length;) {
    const encoded = path.charCodeAt(at) === PERCENT
    const code = encoded ? encodedCodePoint(path, at) : path.charCodeAt(at)
    const found = code === DOT ? undefined : classify(code, encoded)
    if (found !== undefined && !allowed.has(found)) return found

    if (code === PERCENT) encodedAgain = 1
    else if (encodedAgain > 0) encodedAgain = hexDigit(code) < 0 ? 0 : encodedAgain + 1
    if (encodedAgain === 3 && !allowed.has('double-encoding')) return 'double-encoding'

    if (code === DOT) {
      if (dots >= 0) dots++
    } else if (code === SLASH || code === BACKSLASH || code === SEMICOLON) {
      // A reader that cuts path parameters off takes `..;x` for a dot segment.
      if (dots === 1 || dots === 2) return 'dot-segment'
      if (code === SLASH && !encoded && at === segmentStart && !allowed.has('duplicate-slash'))
        return 'duplicate-slash'
      dots = 0
    } else dots = -1

    at += encoded ? 3 * utf8Length(code) : 1
    if (code === SLASH && !encoded) segmentStart = at
  }
  return dots === 1 || dots === 2 ? 'dot-segment' : undefined
}

const PERCENT = 0x25
const DOT = 0x2e
const SLASH = 0x2f
const SEMICOLON = 0x3b
const BACKSLASH = 0x5c

function classify(code: number, encoded: boolean): Ambiguity | undefined {
  if (code < 0) return 'invalid-encoding'
  if (code < 0x20 || (code >= 0x7f && code < 0xa0 && (encoded || code === 0x7f))) return 'control-character'
  if (code === SEMICOLON) return 'semicolon'
  if (code === BACKSLASH) return 'backslash'
  if (encoded) {
    if (code === SLASH) return 'encoded-slash'
    return code === 0x2028 || code === 0x2029 ? 'control-character' : undefined
  }
  if (code === 0x23) return 'fragment'
  return code === 0x20 || code >= 0x80 ? 'unencoded-character' : undefined
}

/**
 * The code point whose percent-encoded UTF-8 begins at `at`; -1 if that is no percent-encoding, or no UTF-8 in its
 * shortest form (RFC 3629 section 3), such as the overlong slash `%c0%af`.
 */
function encodedCodePoint(path: string, at: number): number {
  const lead = encodedByte(path, at)
  if (lead < 0x80) return Math.max(lead, -1)
  const length = lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0
  if (length === 0) return -1

  let code = lead & (0x7f >> length)
  for (let i = 1; i < length; i++) {
    const next = encodedByte(path, at + 3 * i)
    if (next < 0x80 || next >= 0xc0) return -1
    code = (code << 6) | (next & 0x3f)
  }
  const surrogate = code >= 0xd800 && code <= 0xdfff
  return surrogate || code > 0x10ffff || utf8Length(code) !== length ? -1 : code
}

function encodedByte(path: string, at: number): number {
  if (path.charCodeAt(at) !== PERCENT) return -1
  const high = hexDigit(path.charCodeAt(at + 1))
  const low = hexDigit(path.charCodeAt(at + 2))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 && code < 0x80 ? letter - 0x61 + 10 : -1
}

function utf8Length(code: number): number {
  if (code < 0x80) return 1
  if (code < 0x800) return 2
  return code < 0x10000 ? 3 : 4
}
