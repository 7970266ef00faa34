/** How a path is spelled: so that routers differ about it, with capital letters, or all routers read it alike and as it is. */
export type Spelling = typeof ODD | typeof UPPER | typeof LOWER
export const ODD = 0
export const UPPER = 1
export const LOWER = 2

const SLASH = 0x2f
const DOT = 0x2e
/** By character code: what no canonical path has is ODD, and letters and signs are LOWER. */
const SPELLING = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code)
  if (!/[!-~]/.test(character) || '%;#\\'.includes(character)) return ODD
  return /[A-Z]/.test(character) ? UPPER : LOWER
})

/** Of a path without its query. */
export function spellingOf(path: string): Spelling {
  const { length } = path
  if (path.charCodeAt(0) !== SLASH) return ODD
  if (length > 1 && path.charCodeAt(length - 1) === SLASH) return ODD
  let spelling: Spelling = LOWER
  /** How many dots a segment has had, as long as it has had nothing else; -1: it has had. */
  let dots = 0
  for (let i = 1; i < length; i++) {
    const code = path.charCodeAt(i)
    if (code === SLASH) {
      // An empty segment, `.` or `..`.
      if (dots >= 0 && dots <= 2) return ODD
      dots = 0
    } else if (code === DOT) {
      if (dots >= 0) dots++
    } else {
      const known = code < 128 ? SPELLING[code]! : ODD
      if (known === ODD) return ODD
      if (known === UPPER) spelling = UPPER
      dots = -1
    }
  }
  return dots === 1 || dots === 2 ? ODD : spelling
}

/** Where the segment that begins at `start` ends; -1 if it has capital letters, or routers may differ about it. */
export function endOfLower(path: string, start: number): number {
  const { length } = path
  let end = start
  let hasOnlyDots = true
  for (; end < length; end++) {
    const code = path.charCodeAt(end)
    if (code === SLASH) break
    if (code >= 128 || SPELLING[code] !== LOWER) return -1
    if (code !== DOT) hasOnlyDots = false
  }
  return hasOnlyDots && end - start <= 2 ? -1 : end
}
