import { MAX_PASSWORD_BYTES } from './passwords.js'

/** What the field says, before anybody believes it. */
export interface BasicCredentials {
  readonly name: string
  readonly password: string
}

const MAX_NAME_BYTES = 255
const MAX_LENGTH = 4 * Math.ceil((MAX_NAME_BYTES + 1 + MAX_PASSWORD_BYTES) / 3)
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Whether a client can send this name: no colon, no control character, and not too long. It is in NFC. */
export function isName(name: string): boolean {
  const bytes = Buffer.byteLength(name)
  return bytes > 0 && bytes <= MAX_NAME_BYTES && !name.includes(':') && !hasControl(Buffer.from(name))
}

function hasControl(bytes: Uint8Array): boolean {
  return bytes.some((byte) => byte < 0x20 || byte === 0x7f)
}

/**
 * RFC 7617 section 2: base64 of name and password, separated by the first colon, in UTF-8. One spelling for one pair of them, no
 * control characters, and no more than anybody types.
 */
export function parseBasic(text: string): BasicCredentials | undefined {
  if (text.length > MAX_LENGTH || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text))
    return undefined
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) return undefined
  const colon = bytes.indexOf(0x3a)
  if (colon < 1 || colon > MAX_NAME_BYTES) return undefined
  if (bytes.length - colon - 1 > MAX_PASSWORD_BYTES || hasControl(bytes)) return undefined
  try {
    return {
      name: utf8.decode(bytes.subarray(0, colon)).normalize('NFC'),
      password: utf8.decode(bytes.subarray(colon + 1)),
    }
  } catch {
    return undefined
  }
}
