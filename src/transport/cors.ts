import type { IncomingMessage } from 'node:http'
import type { SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import type { Head } from '../kernel/head.js'
import { refuse } from '../kernel/problem.js'
import { onHead } from '../kernel/reply.js'
import { answered } from '../kernel/stage.js'
import { addVary } from '../lib/vary.js'
import { corsFindings, corsSettings, type CorsOptions } from './cors-options.js'

export type { CorsOptions } from './cors-options.js'

/**
 * Tells browsers which other origins may call this API (the CORS protocol of the Fetch standard), by an allow-list.
 * Answers preflights before identity and limits: 204 to a listed origin, 403 `origin-not-allowed` to others. Other
 * requests from unlisted origins pass, without the header fields that would let a page read the reply: CORS restrains
 * browsers, it authorizes nobody.
 *
 * @example
 * app.use(cors({ origins: ['https://app.example.com'] }))
 *
 * @throws ConfigError for origins that no browser sends, and for `dangerouslyAllowAnyOrigin` with `credentials`
 */
export const cors = defineStage('cors', (options: CorsOptions) => {
  const settings = corsSettings(options)
  const { origins, methods, allowedHeaders, exposedHeaders, credentials, maxAgeSeconds } = settings

  const credentialed: [string, string][] = credentials ? [['Access-Control-Allow-Credentials', 'true']] : []
  const exposed: [string, string][] = [
    ...credentialed,
    ['Access-Control-Expose-Headers', exposedHeaders.join(', ')],
  ]
  const permitted: [string, string][] = [
    ...credentialed,
    ['Access-Control-Allow-Methods', methods.join(', ')],
    ['Access-Control-Allow-Headers', allowedHeaders.join(', ')],
    ['Access-Control-Max-Age', String(maxAgeSeconds)],
    ['Content-Length', '0'],
  ]

  const isAllowed = (origin: string) => (origins === '*' ? origin !== 'null' : origins.has(origin))

  /** Runs when the head is written, so that no handler or error page can take it off again. */
  function allowOrigin({ req, head }: SecurityContext): void {
    addVary(head, 'Origin')
    const { origin } = req.headers
    if (origin === undefined || !isAllowed(origin) || head.hasHeader('Access-Control-Allow-Origin')) return
    head.setHeader('Access-Control-Allow-Origin', origins === '*' ? '*' : origin)
    if (!isPreflight(req)) setHeaders(head, exposed)
  }

  return {
    completes: true,
    enter(ctx) {
      const { req, res } = ctx
      onHead(ctx, allowOrigin)

      const { origin } = req.headers
      if (origin === undefined) return ctx.note('no-origin')
      const allowed = isAllowed(origin)
      if (!isPreflight(req)) return ctx.note(allowed ? 'listed-origin' : 'unlisted-origin')
      if (!allowed) return refuse('origin-not-allowed', { rule: 'unlisted-origin' })

      ctx.note('listed-origin', 'answered the preflight')
      res.statusCode = 204
      setHeaders(ctx.head, permitted)
      res.end()
      return answered
    },

    describe: () => ({ ...settings, origins: origins === '*' ? origins : [...origins] }),
    findings: () => corsFindings(settings),
  }
})

/** Fetch standard, section "CORS protocol": any other `OPTIONS` request is the application's. */
function isPreflight({ method, headers }: IncomingMessage): boolean {
  return (
    method === 'OPTIONS' &&
    headers.origin !== undefined &&
    headers['access-control-request-method'] !== undefined
  )
}

function setHeaders(head: Head, fields: readonly (readonly [string, string])[]): void {
  for (const [name, value] of fields) {
    if (value !== '') head.setHeader(name, value)
  }
}
