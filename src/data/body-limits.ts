import { boolean, integer, knownKeys, oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { JsonLimits } from '../lib/measure-text.js'

/** What `body` reads, and how much of it. */
export interface BodyOptions {
  /**
   * Longest JSON (or raw) body, in bytes, both as it is received and after decompression. Default 102 400 (100 KiB).
   * Longer: 413 `body-too-large`, and the connection is closed.
   */
  maxBytes?: number
  /**
   * Longest body of a type that is left unread for the application, in bytes as received. Default 10 485 760 (10 MiB).
   * Longer: 413 `body-too-large`; if the reply has begun, the connection is cut.
   */
  maxUnreadBytes?: number
  /** Levels of arrays and objects inside one another. Default 64. Deeper: 400 `malformed-body`. At most 512. */
  maxDepth?: number
  /** Members of all objects of a body together. Default 10 000. More: 400 `malformed-body`. */
  maxKeys?: number
  /** Elements of all arrays of a body together. Default 10 000. More: 400 `malformed-body`. */
  maxArrayItems?: number
  /**
   * Character encodings a JSON body may declare. Default `['utf-8']`, the only one of RFC 8259; a body that declares
   * none is UTF-8. Others: 415 `unsupported-media-type`.
   */
  charsets?: readonly string[]
  /** How long a JSON (or raw) body may take to arrive, in milliseconds. Default 10 000. Slower: 408 `body-timeout`. */
  timeoutMs?: number
  /**
   * Whether a body may be a string, a number, `true`, `false` or `null` instead of an object or array. Default false,
   * as in `express.json()`: 400 `malformed-body`. Handlers that read members of `null` throw.
   */
  scalars?: boolean
  /**
   * `'json'` parses JSON types and leaves others unread. `'raw'` reads a body of any type into a Buffer on `req.body`
   * and parses nothing, for signatures over the exact bytes. Default `'json'`.
   */
  parse?: 'json' | 'raw'
}

/** `BodyOptions` with nothing left open. */
export interface BodyLimits extends JsonLimits {
  readonly maxBytes: number
  readonly maxUnreadBytes: number
  readonly charsets: readonly string[]
  readonly timeoutMs: number
  readonly scalars: boolean
  readonly parse: 'json' | 'raw'
}

const OPTIONS = [
  'maxBytes',
  'maxUnreadBytes',
  'maxDepth',
  'maxKeys',
  'maxArrayItems',
  'charsets',
  'timeoutMs',
  'scalars',
  'parse',
] as const satisfies (keyof BodyOptions)[]

/** What validators and serialisers behind the parser can walk by recursion without running out of stack. */
const DEEPEST = 512

/** @throws ConfigError for an option that is unknown or out of range */
export function bodyLimits(options: BodyOptions): BodyLimits {
  knownKeys('body', options, OPTIONS)
  const {
    maxBytes = 102_400,
    maxUnreadBytes = 10_485_760,
    maxDepth = 64,
    maxKeys = 10_000,
    maxArrayItems = 10_000,
    charsets = ['utf-8'],
    timeoutMs = 10_000,
    scalars = false,
    parse = 'json',
  } = options
  return {
    maxBytes: integer('body.maxBytes', maxBytes, { max: 1_073_741_824 }),
    maxUnreadBytes: integer('body.maxUnreadBytes', maxUnreadBytes, { min: 0 }),
    maxDepth: integer('body.maxDepth', maxDepth, { max: DEEPEST }),
    maxKeys: integer('body.maxKeys', maxKeys),
    maxArrayItems: integer('body.maxArrayItems', maxArrayItems),
    charsets: knownCharsets(charsets),
    timeoutMs: integer('body.timeoutMs', timeoutMs, { max: 2_147_483_647 }),
    scalars: boolean('body.scalars', scalars),
    parse: oneOf('body.parse', parse, ['json', 'raw']),
  }
}

/**
 * One setting out of a general and a local one: the smaller of each limit, the charsets that both allow, scalars only if
 * both allow them. `parse` is the local one if it is given, because a route knows what it does with its body.
 */
export function tightenBody(general: BodyOptions, local: BodyOptions): BodyOptions | undefined {
  knownKeys('body', local, OPTIONS)
  const outer = bodyLimits(general)
  const inner = bodyLimits({ ...general, ...local })
  const charsets = inner.charsets.filter((charset) => outer.charsets.includes(charset))
  if (charsets.length === 0) return undefined
  return {
    maxBytes: Math.min(outer.maxBytes, inner.maxBytes),
    maxUnreadBytes: Math.min(outer.maxUnreadBytes, inner.maxUnreadBytes),
    maxDepth: Math.min(outer.maxDepth, inner.maxDepth),
    maxKeys: Math.min(outer.maxKeys, inner.maxKeys),
    maxArrayItems: Math.min(outer.maxArrayItems, inner.maxArrayItems),
    charsets,
    timeoutMs: Math.min(outer.timeoutMs, inner.timeoutMs),
    scalars: outer.scalars && inner.scalars,
    parse: inner.parse,
  }
}

/** The limits of a raw body for where bodies are not raw: there, what is no JSON is left unread. */
export function unparsed({ maxBytes, ...more }: BodyOptions): BodyOptions {
  const limits: BodyOptions = { ...more, ...(maxBytes !== undefined && { maxBytes }) }
  delete limits.parse
  if (maxBytes === undefined) return limits
  return { ...limits, maxUnreadBytes: Math.min(maxBytes, more.maxUnreadBytes ?? maxBytes) }
}

function knownCharsets(charsets: unknown): readonly string[] {
  if (!Array.isArray(charsets) || charsets.length === 0)
    throw new ConfigError(`body.charsets must list at least one character encoding, got ${show(charsets)}`)
  return charsets.map((charset: unknown) => {
    if (typeof charset === 'string' && isDecodable(charset)) return charset.toLowerCase()
    throw new ConfigError(`body.charsets must list encodings that TextDecoder knows, got ${show(charset)}`)
  })
}

function isDecodable(charset: string): boolean {
  try {
    new TextDecoder(charset, { fatal: true })
    return true
  } catch {
    return false
  }
}
