/** What the last character may be, by how many characters it stands behind a whole group of four: its unused bits are zero. */
const LAST = ['', undefined, 'AQgw', 'AEIMQUYcgkosw048'] as const

const ALPHABET = /^[\w-]*$/

/**
 * Whether this is canonical base64url without padding (RFC 7515 section 2). Canonical means that one byte string has one
 * spelling: foreign characters, padding, white space and leftover bits that are not zero are refused.
 */
export function isBase64url(text: string): boolean {
  return ALPHABET.test(text) && endsCleanly(text)
}

/** The same for a text that is known to have no foreign characters in it. */
export function endsCleanly(text: string): boolean {
  const last = LAST[text.length % 4]
  return last === '' || (last?.includes(text.at(-1)!) ?? false)
}

/** The bytes behind canonical base64url, or `undefined`. */
export function decodeBase64url(text: string): Buffer | undefined {
  return isBase64url(text) ? Buffer.from(text, 'base64url') : undefined
}
