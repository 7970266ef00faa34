import { isAscii } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { isJsonType, parseMediaType } from '../lib/media-type.js'
import { parseQuery } from '../lib/query-string.js'
import { parseStrictObject } from '../lib/strict-json.js'
import { when } from '../lib/when.js'
import { bodyTooLarge, malformedBody, unsupportedBody } from './body-faults.js'
import type { SecurityContext } from './context.js'
import { fieldCount } from './field-count.js'
import type { Later } from './ports.js'
import { isProblem, refuse, type Problem } from './problem.js'
import { receive } from './receive.js'

/** `form` is `application/x-www-form-urlencoded`, `json` an object of JSON. */
export type BodyKind = 'form' | 'json'

/** Members by name. Those of a form are texts, and none came twice. */
export type HandlerBody = Readonly<Record<string, unknown>>

type Parsed = IncomingMessage & { body?: unknown; _body?: boolean }

const TIMEOUT_MS = 10_000

/**
 * The body of a request to an endpoint of ours, up to a small ceiling. Where a parser ran before, what it made of the body is taken, as
 * far as it is an object.
 */
export function readHandlerBody(
  ctx: SecurityContext,
  kinds: readonly BodyKind[],
  maxBytes: number,
): Later<HandlerBody | Problem> {
  const req = ctx.req as Parsed
  const kind = kindOf(req)
  if (typeof kind === 'object') return kind
  if (kind === undefined || !kinds.includes(kind)) return wrongType(kinds)
  if (req._body === true || req.readableDidRead || req.readableEnded || req.destroyed)
    return adopted(req, kind)

  const coding = req.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (coding !== 'identity') return unsupportedBody('content-encoding')
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) return bodyTooLarge('declared-bytes')
  req._body = true
  return when(receive(ctx, { maxBytes, timeoutMs: TIMEOUT_MS }, undefined), (bytes) =>
    isProblem(bytes) ? bytes : parsed(bytes, kind),
  )
}

function kindOf(req: IncomingMessage): BodyKind | Problem | undefined {
  // RFC 9110 section 8.3: a singleton field.
  if (fieldCount(req, 'content-type') > 1) return unsupportedBody('duplicate-content-type')
  const type = parseMediaType(req.headers['content-type'] ?? '')
  if (type === undefined) return undefined
  if (type.charset !== undefined && type.charset !== 'utf-8' && type.charset !== 'utf8')
    return unsupportedBody('charset')
  if (isJsonType(type)) return 'json'
  return type.essence === 'application/x-www-form-urlencoded' ? 'form' : undefined
}

function adopted(req: Parsed, kind: BodyKind): HandlerBody | Problem {
  const { body } = req
  if (Buffer.isBuffer(body)) return parsed(body, kind)
  if (typeof body === 'string') return parsed(Buffer.from(body), kind)
  if (typeof body !== 'object' || body === null) {
    throw new Error('The body was read in front of this handler, and nothing was left on req.body')
  }
  return withoutPrototype(body)
}

function withoutPrototype(value: object): HandlerBody {
  return Object.assign(Object.create(null) as HandlerBody, value)
}

function parsed(bytes: Buffer, kind: BodyKind): HandlerBody | Problem {
  if (kind === 'json') {
    const value = parseStrictObject(bytes)
    return value === undefined ? malformedBody('syntax') : withoutPrototype(value)
  }
  // Whoever fills in a form encodes all else (WHATWG URL, application/x-www-form-urlencoded).
  const fields = isAscii(bytes) ? parseQuery(`?${bytes.toString('latin1')}`) : 'percent-encoding'
  if (typeof fields === 'string')
    return refuse('malformed-parameter', { rule: fields, detail: 'The form is malformed.' })
  const form = Object.create(null) as Record<string, unknown>
  for (const name in fields) {
    const values = fields[name]!
    // RFC 6749 section 3.2: request parameters must not be included more than once.
    if (values.length > 1)
      return refuse('duplicate-parameter', {
        rule: 'duplicate-parameter',
        detail: 'A parameter of the form was sent twice.',
      })
    form[name] = values[0]
  }
  return form
}

function wrongType(kinds: readonly BodyKind[]): Problem {
  const types = { form: 'application/x-www-form-urlencoded', json: 'application/json' }
  const accepted = kinds.map((kind) => types[kind]).join(', ')
  return refuse('unsupported-media-type', {
    rule: 'media-type',
    detail: `The body must be ${accepted.replace(', ', ' or ')}.`,
    headers: { Accept: accepted, Connection: 'close' },
  })
}
