import type { IncomingMessage } from 'node:http'
import { ambientProof, type AmbientProof } from '../kernel/ambient.js'
import type { SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import { refuse, type Problem } from '../kernel/problem.js'
import type { Finding, Stage } from '../kernel/stage.js'
import { prepareCsrf, type CsrfOptions } from './csrf-options.js'
import { csrfTokens } from './csrf-token.js'

export type { CsrfOptions } from './csrf-options.js'

/**
 * Keeps pages of other sites from acting as whoever visits them (ASVS 3.5.1). It judges requests that may change something
 * and whose caller was proven by what browsers send unasked, a session cookie or a client certificate; a token or key that
 * was sent on purpose proves that the page meant it. `Sec-Fetch-Site` decides, else `Origin`, else a signed token that was
 * sent twice. Refused: 403 `cross-site-request`.
 *
 * @example
 * secureApi({
 *   auth: [session({ store })],
 *   csrf: { origins: ['https://app.example.com'] },
 *   routes: { 'POST /login': { public: true, csrf: { always: true } } },
 * })
 * @throws ConfigError for origins that no browser sends, and a weak secret
 */
export const csrf = defineStage('csrf', (options: CsrfOptions = {}): Omit<Stage, 'name'> => {
  const { origins, always, tokens, secure } = prepareCsrf(options)
  const isListed = ({ headers: { origin } }: IncomingMessage) => origin !== undefined && origins.has(origin)

  return {
    enter(ctx) {
      if (tokens !== undefined) ctx.set(csrfTokens, tokens)
      const { req } = ctx
      if (!always && !isBrowser(req, ctx.get(ambientProof))) return
      if (SAFE.has(req.method ?? '')) return ctx.note('safe-method')

      const site = req.headers['sec-fetch-site']
      if (site !== undefined) {
        if (site === 'same-origin' || site === 'none') return ctx.note('same-origin')
        return isListed(req) ? ctx.note('listed-origin') : crossSite('cross-site')
      }
      if (req.headers.origin !== undefined) {
        if (isOwn(ctx)) return ctx.note('same-origin')
        return isListed(req) ? ctx.note('listed-origin') : crossSite('cross-origin')
      }
      if (tokens === undefined) return crossSite('csrf-unknown')
      const fault = tokens.faultOf(ctx)
      return fault === undefined ? ctx.note('csrf-token') : crossSite(fault)
    },

    describe: () => ({
      origins: [...origins],
      always,
      ...(tokens !== undefined && { header: tokens.header }),
      ...(!secure && { dangerouslyAllowHttp: true }),
    }),
    findings: () => [
      ...(secure ? [] : [OVER_HTTP]),
      ...[...origins].filter(isInsecure).map((origin) => insecureOrigin(origin)),
    ],
  }
})

/** Whether a browser may have sent the request for a page that its user did not mean. */
function isBrowser({ headers }: IncomingMessage, proof: AmbientProof | undefined): boolean {
  if (proof?.machines !== true) return proof !== undefined
  if (headers['sec-fetch-site'] !== undefined || headers.origin !== undefined) return true
  // Safari before 16.4 takes `Origin` off where another site redirects a form to here, and never says `Sec-Fetch-Site`.
  return NAMED_AS_BROWSERS.test(headers['user-agent'] ?? '')
}

/**
 * All browsers call themselves so, and no form of theirs can change it; with a `fetch` that can, `Origin` comes along. PowerShell calls itself so
 * too, and says that it is PowerShell.
 */
const NAMED_AS_BROWSERS = /^Mozilla\/(?!.*PowerShell\/)/

/** RFC 9110 section 9.2.1: they ask for nothing to be changed. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Why the request may not have been meant: the rule in the audit log, and its reason. */
const faults = {
  'cross-site': 'Sec-Fetch-Site says that another site sent it, and its origin is not listed',
  'cross-origin': 'Origin is neither the host that was called nor listed',
  'csrf-unknown': 'Neither Sec-Fetch-Site nor Origin says who sent it, and there are no tokens',
  'csrf-token-missing': 'Neither Sec-Fetch-Site nor Origin says who sent it, and no token came with it',
  'csrf-token': 'The token is not one of this session',
} as const

const DETAILS: Readonly<Record<keyof typeof faults, string>> = {
  'cross-site': 'Pages of this site may not send such requests',
  'cross-origin': 'Pages of this origin may not send such requests',
  'csrf-unknown': 'Say by Origin or Sec-Fetch-Site where the request comes from',
  'csrf-token-missing': 'Say by Origin, Sec-Fetch-Site or a token where the request comes from',
  'csrf-token': 'The token is not valid; get a new one',
}

function crossSite(rule: keyof typeof faults): Problem {
  return refuse('cross-site-request', { detail: DETAILS[rule], rule, reason: faults[rule] })
}

/** Whether a page of the host that was called sent it. Of `Host` a browser lets nobody else decide. */
function isOwn({ req, services }: SecurityContext): boolean {
  const { origin = '', host } = req.headers
  const [, scheme, from] = ORIGIN.exec(origin) ?? []
  if (from === undefined || host === undefined) return false
  // A page without TLS could be anybody's on the way.
  if (scheme === 'http' && ('encrypted' in req.socket || services.isOverTls(req))) return false
  const port = scheme === 'http' ? ':80' : ':443'
  const called = host.toLowerCase()
  return from === called || from + port === called
}

const ORIGIN = /^(https?):\/\/([^/]+)$/
const LOOPBACK = /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?$/

function isInsecure(origin: string): boolean {
  return origin.startsWith('http:') && !LOOPBACK.test(origin)
}

function insecureOrigin(origin: string): Finding {
  return {
    code: 'csrf-insecure-origin',
    severity: 'high',
    cause: `csrf.origins lists ${origin}, whose pages anybody on the network path can change and act as its visitors`,
    fix: 'serve that page over https and list its https origin',
  }
}

const OVER_HTTP: Finding = {
  code: 'csrf-over-http',
  severity: 'high',
  cause:
    'csrf.dangerouslyAllowHttp lets whoever is on the way, or on another host of the domain, set the cookie of the token',
  fix: 'leave it out wherever others than the developer can get',
}
