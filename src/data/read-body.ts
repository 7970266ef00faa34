import type { IncomingMessage } from 'node:http'
import { isUtf8 } from 'node:buffer'
import type { SecurityContext } from '../kernel/context.js'
import { fieldCount } from '../kernel/field-count.js'
import { isProblem, type Problem } from '../kernel/problem.js'
import { isJsonType, parseMediaType, type MediaType } from '../lib/media-type.js'
import { when } from '../lib/when.js'
import { bodyTooLarge, malformedBody, unsupportedBody } from '../kernel/body-faults.js'
import type { BodyLimits } from './body-limits.js'
import { bodyParsedElsewhere, bodyRead, type BodyRead } from './body-read.js'
import type { JsonCost } from '../lib/measure-text.js'
import { parseJson, parseJsonInSteps } from '../lib/parse-json.js'
import { stepByStep } from '../lib/step-by-step.js'
import { decoders, receive } from '../kernel/receive.js'
import { countUnread } from './unread-body.js'
import { measureValue } from '../lib/measure-value.js'

/** What body parsers leave on a request: `_body` is the mark that body-parser 1.x looks for. */
type Parsed = IncomingMessage & { body?: unknown; _body?: boolean }

/** In bytes. Other requests are not to wait for all that is done with a larger body. */
const LARGE = 16_384

const FREE: JsonCost = { depth: 0, keys: 0, items: 0 }

/**
 * Deals with a request's body, once: reads JSON onto `req.body`, leaves other types to the application under a ceiling.
 * A body that was read before, by us or by others, is only measured.
 */
export function readBody(
  ctx: SecurityContext,
  limits: BodyLimits,
): Problem | undefined | Promise<Problem | undefined> {
  const before = ctx.get(bodyRead)
  if (before !== undefined && !(before.kind === 'unread' && limits.parse === 'raw'))
    return within(before, limits)

  const req = ctx.req as Parsed
  if (isConsumed(req)) return adopt(ctx, req, limits)
  if (!isFramed(req)) return settle(ctx, 'none', 0)
  if (req.readableEncoding !== null)
    throw new Error('setEncoding() was called on the request before its body was read')

  // RFC 9110 section 8.3: a singleton field. Two of them are read differently by different readers.
  if (fieldCount(req, 'content-type') > 1) return unsupportedBody('duplicate-content-type')
  const declared = Number(req.headers['content-length'] ?? 0)
  const type = parseMediaType(req.headers['content-type'] ?? '')
  if (limits.parse === 'raw') return readRaw(ctx, req, declared, limits)
  if (type !== undefined && isJsonType(type)) return readJson(ctx, req, type, declared, limits)

  if (declared > limits.maxUnreadBytes) return bodyTooLarge('declared-bytes')
  const chunked = req.headers['transfer-encoding'] !== undefined
  if (chunked) countUnread(ctx, limits.maxUnreadBytes)
  return settle(ctx, chunked || declared > 0 ? 'unread' : 'none', declared)
}

function readJson(ctx: SecurityContext, req: Parsed, type: MediaType, declared: number, limits: BodyLimits) {
  const charset = charsetOf(type)
  if (!limits.charsets.includes(charset)) return unsupportedBody('charset')
  return when(readBytes(ctx, req, declared, limits), (bytes) => {
    if (isProblem(bytes)) return bytes
    if (bytes.length === 0) return settle(ctx, 'none', 0)

    const text = decode(bytes, charset)
    if (text === undefined) return malformedBody('invalid-encoding')
    if (text.charCodeAt(0) === 0xfeff) return malformedBody('byte-order-mark')
    const json = bytes.length < LARGE ? parseJson(text, limits) : stepByStep(parseJsonInSteps(text, limits))
    return when(json, (parsed) => {
      if (typeof parsed === 'string') return malformedBody(parsed)
      if (parsed.cost.depth === 0 && !limits.scalars) return malformedBody('top-level-scalar')
      req.body = parsed.value
      return settle(ctx, 'json', bytes.length, parsed.cost)
    })
  })
}

function readRaw(ctx: SecurityContext, req: Parsed, declared: number, limits: BodyLimits) {
  return when(readBytes(ctx, req, declared, limits), (bytes) => {
    if (isProblem(bytes)) return bytes
    req.body = bytes
    return settle(ctx, 'raw', bytes.length)
  })
}

function readBytes(ctx: SecurityContext, req: Parsed, declared: number, limits: BodyLimits) {
  const coding = req.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  const decoder = Object.hasOwn(decoders, coding) ? decoders[coding] : undefined
  if (decoder === undefined && coding !== 'identity') return unsupportedBody('content-encoding')
  if (declared > limits.maxBytes) return bodyTooLarge('declared-bytes')
  // Marked before it is read: a parser of the 1.x line that runs meanwhile must not join in.
  req._body = true
  return receive(ctx, limits, decoder)
}

function charsetOf({ charset = 'utf-8' }: MediaType): string {
  return charset === 'utf8' ? 'utf-8' : charset
}

/** `undefined` if the bytes are not what the charset allows. */
function decode(bytes: Buffer, charset: string): string | undefined {
  if (charset === 'utf-8') return isUtf8(bytes) ? bytes.toString('utf8') : undefined
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** RFC 9112 section 6.3: a request has a body if one of these announces it. */
function isFramed({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
}

/** Somebody took from the stream, or put a value where parsers put theirs. Waiting for the rest could last for ever. */
function isConsumed(req: Parsed): boolean {
  if (req._body === true || req.readableDidRead || req.readableEnded || req.destroyed) return true
  return !isFramed(req) && req.body !== undefined && !isEmptyObject(req.body)
}

/** What parsers of Express 4 put on requests that have no body. */
function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** Takes over what another parser made of the body; its structure is measured, its bytes cannot be. */
function adopt(ctx: SecurityContext, { body, headers }: Parsed, limits: BodyLimits): Problem | undefined {
  if (body === undefined) return settle(ctx, 'gone', 0)
  const cost = measureValue(body, limits)
  if (typeof cost === 'string') return malformedBody(cost)

  ctx.set(bodyParsedElsewhere, true)
  if (Buffer.isBuffer(body)) return settle(ctx, 'raw', body.length)
  const type = parseMediaType(headers['content-type'] ?? '')
  return settle(ctx, type !== undefined && isJsonType(type) ? 'json' : 'unread', 0, cost)
}

const WHY: Readonly<Record<BodyRead['kind'], string>> = {
  json: 'the body is JSON within the limits',
  raw: 'the body is within the limit of bytes',
  unread: 'the body is no JSON, and left to the application',
  none: 'there is no body',
  gone: 'the body was consumed before',
}

function settle(ctx: SecurityContext, kind: BodyRead['kind'], bytes: number, cost = FREE): undefined {
  ctx.set(bodyRead, { kind, bytes, cost })
  ctx.note(kind, WHY[kind])
  return undefined
}

/** The limits of a later reader hold as well, for what an earlier one let through. */
function within({ kind, bytes, cost }: BodyRead, limits: BodyLimits): Problem | undefined {
  if (kind === 'json' && limits.parse === 'raw')
    throw new Error(
      'The body was parsed before a stage that wants its raw bytes. Say so for the whole route.',
    )
  if (bytes > (kind === 'unread' ? limits.maxUnreadBytes : limits.maxBytes))
    return bodyTooLarge('declared-bytes')
  if (kind === 'json' && cost.depth === 0 && !limits.scalars) return malformedBody('top-level-scalar')
  if (cost.depth > limits.maxDepth) return malformedBody('too-deep')
  if (cost.keys > limits.maxKeys) return malformedBody('too-many-keys')
  return cost.items > limits.maxArrayItems ? malformedBody('too-many-items') : undefined
}
