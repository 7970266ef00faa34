import { refuse, type Problem } from './problem.js'
import type { JsonFault } from '../lib/measure-text.js'

/** What is wrong with a body, apart from its size and type. The key is the rule on record; `detail` is for the client. */
const malformed = {
  syntax: 'The body is not valid JSON.',
  'too-deep': 'The body is nested too deeply.',
  'too-many-keys': 'The body has too many members.',
  'too-many-items': 'The body has too many array elements.',
  'duplicate-key': 'A member name occurs twice in one object of the body.',
  'proto-key': 'The body contains a member name that is not allowed.',
  'constructor-prototype': 'The body contains a member name that is not allowed.',
  'lone-surrogate': 'A string of the body contains half a surrogate pair.',
  'number-out-of-range': 'A number of the body is too large.',
  'top-level-scalar': 'The body must be a JSON object or array.',
  'byte-order-mark': 'The body starts with a byte order mark.',
  'invalid-encoding': 'The body is not valid in its character encoding.',
  'invalid-compression': 'The body cannot be decompressed.',
  'trailing-bytes': 'The body goes on behind its compressed content.',
  aborted: 'The body ended before its time.',
} as const satisfies Record<JsonFault, string> & Record<string, string>

export type BodyFault = keyof typeof malformed

/** For a refusal that leaves bytes on the wire: the connection cannot be used for another request. */
export const CLOSE = { Connection: 'close' }

/** 400 `malformed-body`, by the rule that is broken. */
export function malformedBody(rule: BodyFault, headers: Readonly<Record<string, string>> = {}): Problem {
  return refuse('malformed-body', { detail: malformed[rule], rule, headers, always: true })
}

/** 413 `body-too-large`. @param rule what was counted: declared, received, inflated or unread bytes */
export function bodyTooLarge(
  rule: 'declared-bytes' | 'received-bytes' | 'inflated-bytes' | 'unread-bytes',
): Problem {
  return refuse('body-too-large', { rule, headers: CLOSE, always: true })
}

/** 408 `body-timeout` (RFC 9110 section 15.5.9). */
export function bodyTimeout(): Problem {
  return refuse('body-timeout', { rule: 'timeoutMs', headers: CLOSE, always: true })
}

const unsupported = {
  'media-type': { detail: 'The body must be JSON.', headers: { Accept: 'application/json' } },
  'duplicate-content-type': { detail: 'Content-Type was sent more than once.', headers: {} },
  charset: { detail: 'The character encoding of the body is not supported.', headers: {} },
  'content-encoding': {
    detail: 'The content encoding of the body is not supported.',
    headers: { 'Accept-Encoding': 'gzip, deflate, br' },
  },
}

/** 415 `unsupported-media-type`. Says by `Accept` and `Accept-Encoding` what would do (RFC 9110 section 15.5.16). */
export function unsupportedBody(rule: keyof typeof unsupported): Problem {
  const { detail, headers } = unsupported[rule]
  return refuse('unsupported-media-type', {
    detail,
    rule,
    headers: { ...headers, ...CLOSE },
    // Another type is only a question of the schema; what cannot be decoded must not get in.
    ...(rule !== 'media-type' && { always: true }),
  })
}
