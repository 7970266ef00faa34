import { escaped, printable } from '../lib/printable.js'

const NEEDS_NO_ESCAPE = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
/** Ids, addresses and moments, of which every event has some that no event before it had. */
const PLAIN_ID = /^[0-9a-fTZ.:-]*$/
const BEYOND_ASCII = /[^\x20-\x7e]/g

/** Base64 of `{"`: every JWT, JWE and most signed session cookies begin with it. */
const TOKEN = /eyJ[\w.-]{17,}/g
/** Without any of these there is no credential: most texts with a space in them have none. */
const SCHEME = /basic|bearer|dpop/i
/**
 * What follows the name of an authentication scheme, with whatever looks like a space, or like nothing, in between. Our own
 * reasons speak of a DPoP proof and a bearer token.
 */
const CREDENTIAL = /\b(Basic|Bearer|DPoP)[\s\p{C}\p{Z}]+(?!(?:proof|token)s?(?![\w.~+/=-]))[\w.~+/=-]+/giu

/**
 * Text from anywhere, made fit for a log: at most `max` UTF-16 units (the rest is counted), what looks like a token
 * taken out, unsafe characters written as `\uXXXX`. Done to the value, not only to its JSON: it stays harmless when
 * somebody prints the decoded value on a terminal (ASVS 16.4.1).
 */
export function clean(text: string, max: number): string {
  if (isHarmless(text, max)) return text
  const all = text.length <= max ? text : `${text.slice(0, max)}...[+${text.length - max}]`
  // Before anything is escaped: `Bearer\u0009abc` looks like no credential any more.
  return printable(all.replace(TOKEN, '[token]').replace(CREDENTIAL, '$1 [token]'))
}

/** A JSON string in plain ASCII: one character is one byte, and no reader can take any of them for a line end. */
export function quote(text: string): string {
  if (NEEDS_NO_ESCAPE.test(text)) return `"${text}"`
  return JSON.stringify(text).replace(BEYOND_ASCII, escaped)
}

/** `quote(clean(text, max))`; at most texts one look is enough. */
export function cleanQuoted(text: string, max: number): string {
  return isHarmless(text, max) ? `"${text}"` : quote(clean(text, max))
}

function isHarmless(text: string, max: number): boolean {
  if (PLAIN_ID.test(text) && text.length <= max) return true
  if (text.length > max || !NEEDS_NO_ESCAPE.test(text) || text.includes('eyJ')) return false
  return !text.includes(' ') || !SCHEME.test(text)
}
