import { randomUUID } from 'node:crypto'
import type { SecurityContext } from '../kernel/context.js'
import { ConfigError } from '../kernel/config-error.js'
import { boolean, knownKeys, oneOf, show } from '../kernel/check.js'
import { defineStage } from '../kernel/define.js'
import { isTakenField } from '../kernel/field-names.js'
import type { Finding, Stage } from '../kernel/stage.js'
import { parseTraceparent, RandomHex } from './trace-context.js'

export interface RequestIdOptions {
  /**
   * The header that carries the correlation id, in the response and, with `trustIncoming`, in the request. `false` sends
   * and reads none; `req.security.id` is set all the same. Default `'X-Request-Id'`. Fields that have a meaning of their own, such as
   * `Content-Length`, are refused.
   */
  header?: string | false
  /**
   * Whether a caller may choose the correlation id. Only behind a gateway that sets the header itself: otherwise clients
   * can make their requests look like somebody else's in the logs. An id that is longer than 128 characters, or has
   * characters other than letters, digits and `._~:+/=-`, is ignored and a new one made. Default false.
   */
  trustIncoming?: boolean
  /**
   * What becomes of the caller's `traceparent` (W3C Trace Context). `'continue'` keeps the trace id of a valid one;
   * `'restart'` always begins a new trace, as section 4.3 allows at the edge of a system; `false` neither reads nor writes
   * trace context. A malformed one is ignored, never refused. Default `'continue'`.
   */
  trace?: 'continue' | 'restart' | false
  /**
   * The `sampled` flag of traces that begin here. This stage records no spans, so the default false leaves the choice of
   * what to record to the services behind it; true asks all of them to record. A continued trace keeps its caller's flag.
   */
  sampled?: boolean
}

const TRUSTED_ID = /^[A-Za-z0-9._~:+/=-]{1,128}$/
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/

/**
 * Gives every request a correlation id (`req.security.id`, header `X-Request-Id`) and a W3C trace context
 * (`req.security.traceparent`, header `traceparent`) with a span id of its own, to be handed on to upstream calls. Refuses nothing.
 *
 * @example
 * app.use(requestId())
 * app.get('/', (req, res) => res.json({ id: req.security.id }))
 *
 * @throws ConfigError for an unknown option or value
 */
export const requestId = defineStage('requestId', (options: RequestIdOptions = {}) => {
  knownKeys('requestId', options, ['header', 'trustIncoming', 'trace', 'sampled'])
  const { header = 'X-Request-Id', trustIncoming = false, trace = 'continue', sampled = false } = options
  if (header !== false) headerName(header)
  boolean('requestId.trustIncoming', trustIncoming)
  boolean('requestId.sampled', sampled)
  if (trace !== false) oneOf('requestId.trace', trace, ['continue', 'restart'])
  if (trustIncoming && header === false) {
    throw new ConfigError('requestId.trustIncoming needs a header to read, got requestId.header false')
  }

  const incoming = trustIncoming && header !== false ? header.toLowerCase() : undefined
  const random = new RandomHex()
  const newTraceFlags = sampled ? '01' : '00'

  const traceparentFor = ({ req }: SecurityContext): string => {
    const caller = trace === 'continue' ? parseTraceparent(req.headers.traceparent) : undefined
    if (caller !== undefined) return `00-${caller.traceId}-${random.take(8)}-${caller.sampled ? '01' : '00'}`
    const ids = random.take(24)
    return `00-${ids.slice(0, 32)}-${ids.slice(32)}-${newTraceFlags}`
  }

  return {
    enter(ctx) {
      // Mounted twice, a request keeps its first id: two ids for one request correlate nothing.
      if (ctx.id === '') {
        const trusted = incoming === undefined ? undefined : acceptable(ctx.req.headers[incoming])
        ctx.id = trusted ?? randomUUID()
        ctx.note(trusted === undefined ? 'new-id' : 'incoming-id')
      }
      if (trace !== false && ctx.traceparent === '') ctx.traceparent = traceparentFor(ctx)

      if (ctx.res.headersSent) return
      if (header !== false) ctx.head.setHeader(header, ctx.id)
      if (trace !== false) ctx.head.setHeader('traceparent', ctx.traceparent)
    },
    describe: () => ({ header, trustIncoming, trace, sampled }),
    findings: () => (trustIncoming ? [TRUSTS_INCOMING] : []),
  } satisfies Omit<Stage, 'name'>
})

const TRUSTS_INCOMING: Finding = {
  code: 'request-id-trusted',
  cause: 'requestId.trustIncoming lets whoever sends the header choose the correlation id in the logs.',
  fix: 'Keep it only if every request passes a gateway that overwrites the header.',
  severity: 'low',
}

function acceptable(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && TRUSTED_ID.test(value) ? value : undefined
}

function headerName(value: unknown): void {
  if (typeof value !== 'string' || !HEADER_NAME.test(value)) {
    throw new ConfigError(
      `requestId.header must be a header name of at most 64 characters, got ${show(value)}`,
    )
  }
  if (isTakenField(value)) {
    throw new ConfigError(
      `requestId.header cannot be ${value}, which has another meaning; 'X-Request-Id' is usual`,
    )
  }
}
