import type { HelmetOptions } from 'helmet'
import { knownKeys, oneOf } from '../kernel/check.js'
import type { SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import { onHead } from '../kernel/reply.js'
import { headerFindings } from './header-findings.js'
import { helmetHeaders } from './helmet-headers.js'

export interface HeadersOptions {
  /**
   * What the replies are. `'api'` (default): data, so the policy is `default-src 'none'; frame-ancestors 'none'` and nobody
   * may frame it. `'html'`: pages, with helmet's own policy.
   */
  preset?: 'api' | 'html'
  /**
   * helmet's options, laid over the preset; each header field can be `false`. CSP directives replace those of the same
   * name. Functions in directives are refused: everything is computed once, at start. Default `{}`.
   */
  helmet?: HelmetOptions
  /**
   * When `Cache-Control: no-store` is added to a reply whose handler set no `Cache-Control` (ASVS 14.3.2).
   * `'authenticated'` (default): when the caller is known. `'always'`, or `false` for never.
   */
  noStore?: 'authenticated' | 'always' | false
}

/** The policy that Express's last handler and its file sender put on error pages. It lacks `frame-ancestors`. */
const ERROR_PAGE_POLICY = "default-src 'none'"
/** What Express's file sender writes when nobody said anything about caching: "shared caches may keep this". */
const FILE_SENDER_DEFAULT = 'public, max-age=0'

/**
 * Security header fields on every reply: helmet decides them once at start, and they are completed when the head is
 * written, so that refusals, error pages, 404 and preflights carry them too. What a handler sets wins.
 *
 * @example
 * app.use(headers({ helmet: { strictTransportSecurity: { maxAge: 63_072_000, preload: true } } }))
 *
 * @throws ConfigError for what helmet refuses or would ignore, and for functions in CSP directives
 */
export const headers = defineStage('headers', (options: HeadersOptions = {}) => {
  knownKeys('headers', options, ['preset', 'helmet', 'noStore'])
  const { preset = 'api', helmet = {}, noStore = 'authenticated' } = options
  oneOf('headers.preset', preset, ['api', 'html'])
  if (noStore !== false) oneOf('headers.noStore', noStore, ['authenticated', 'always'])

  const { set, removed } = helmetHeaders(preset, helmet)
  const fields = set.map(([name, value]) => ({ name, value, lower: name.toLowerCase() }))
  const errorPolicy = errorPagePolicy(set)

  function complete({ res, head, principal }: SecurityContext): void {
    if (head.intact !== true) {
      for (let i = 0; i < fields.length; i++) {
        const { name, value, lower } = fields[i]!
        // Node looks for names in lower case, and keeps each that is so already.
        if (!head.hasHeader(lower)) head.setHeader(name, value)
      }
    }
    for (let i = 0; i < removed.length; i++) head.removeHeader(removed[i]!)

    if (errorPolicy !== undefined && res.statusCode >= 400) {
      if (head.getHeader('content-security-policy') === ERROR_PAGE_POLICY) head.setHeader(POLICY, errorPolicy)
    }

    if (noStore === 'always' || (noStore === 'authenticated' && principal !== undefined)) {
      const chosen = head.getHeader('cache-control')
      if (chosen === undefined || chosen === FILE_SENDER_DEFAULT) head.setHeader('Cache-Control', 'no-store')
    }
  }

  return {
    completes: true,
    enter(ctx) {
      onHead(ctx, complete)
      const { head } = ctx
      for (let i = 0; i < removed.length; i++) head.removeHeader(removed[i]!)
      // Now as well, so that handlers can read and replace them.
      for (let i = 0; i < fields.length; i++) head.setHeader(fields[i]!.name, fields[i]!.value)
    },

    describe: () => ({ preset, set: Object.fromEntries(set), removed, noStore }),
    findings: () => headerFindings(new Map(set), noStore),
  }
})

const POLICY = 'Content-Security-Policy'

function errorPagePolicy(set: readonly (readonly [string, string])[]): string | undefined {
  const policy = set.find(([name]) => name === POLICY)?.[1]
  const ancestors = policy?.split(';').find((directive) => directive.startsWith('frame-ancestors '))
  return ancestors === undefined ? undefined : `${ERROR_PAGE_POLICY};${ancestors}`
}
