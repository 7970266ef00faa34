/**
 * The bytes behind canonical base64url without padding (RFC 7515 section 2), or `undefined`. Canonical means that one
 * byte string has one spelling: foreign characters, padding, white space and leftover bits that are not zero are refused.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}
