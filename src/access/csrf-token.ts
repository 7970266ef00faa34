import { createHmac, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ambientProof } from '../kernel/ambient.js'
import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { contextOf, slot, type SecurityContext } from '../kernel/context.js'
import { importSecret, type Secret } from '../kernel/secret.js'
import { addCookie, cookieField, cookiesNamed } from '../lib/cookie.js'

const MAX_SECRETS = 5
const TOKEN = /^[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}$/

/**
 * Signed double-submit tokens: 128 random bits and an HMAC-SHA-256 of them and of the credential that they go with. A token
 * of another session, or of before a new id, is none.
 */
export class CsrfTokens {
  private readonly keys: readonly KeyObject[]
  private readonly cookie: string

  /** @throws ConfigError for a secret that is not worth the name */
  constructor(
    secret: Secret | readonly Secret[],
    readonly header: string,
    private readonly secure: boolean,
  ) {
    const list: readonly unknown[] = Array.isArray(secret) ? secret : [secret]
    if (list.length === 0 || list.length > MAX_SECRETS)
      throw new ConfigError(
        `csrf.secret must be one secret or a list of 1 to ${MAX_SECRETS}, got ${show(secret)}`,
      )
    this.keys = list.map((one, i) =>
      importSecret(Array.isArray(secret) ? `csrf.secret[${i}]` : 'csrf.secret', one),
    )
    this.cookie = secure ? '__Host-csrf' : 'csrf'
  }

  /** A new token for whoever sent this request, in a cookie that pages of this host can read. */
  issue(ctx: SecurityContext): string {
    const random = randomBytes(16).toString('base64url')
    const token = `${random}.${mac(this.keys[0]!, bindingOf(ctx), random).toString('base64url')}`
    const { head } = ctx
    const attributes = { secure: this.secure, httpOnly: false, sameSite: 'strict' } as const
    addCookie(head, this.cookie, cookieField(this.cookie, token, attributes))
    head.setHeader('Cache-Control', 'no-store')
    return token
  }

  /** Why the request has no good token; `undefined` if it has one. */
  faultOf(ctx: SecurityContext): 'csrf-token-missing' | 'csrf-token' | undefined {
    const sent = ctx.req.headers[this.header.toLowerCase()]
    const [kept, another] = cookiesNamed(this.cookie, ctx.req.headers.cookie)
    if (sent === undefined || kept === undefined) return 'csrf-token-missing'
    // A page of another site can make the browser send the cookie, and cannot read it.
    const same =
      typeof sent === 'string' && another === undefined && isSame(Buffer.from(sent), Buffer.from(kept))
    if (!same || !TOKEN.test(kept)) return 'csrf-token'
    const [random, signed] = kept.split('.') as [string, string]
    const given = Buffer.from(signed, 'base64url')
    const binding = bindingOf(ctx)
    return this.keys.some((key) => isSame(mac(key, binding, random), given)) ? undefined : 'csrf-token'
  }
}

/** Where the stage leaves what makes tokens. */
export const csrfTokens = slot<CsrfTokens>('csrf.tokens')

/**
 * A token for the requests that the caller's page will send, to be given to it in a reply; it is also in a cookie that the page
 * can read. The page sends it back in `X-CSRF-Token`. Ask for a new one after a login and whenever the session got a new id.
 *
 * @throws Error where `csrf` did not run, or has no `secret`
 * @example
 * app.get('/me', (req, res) => res.json({ name: 'Ann', csrf: csrfToken(req, res) }))
 */
export function csrfToken(req: IncomingMessage, res: ServerResponse): string {
  const ctx = contextOf(req)
  const tokens = ctx?.get(csrfTokens)
  if (ctx === undefined || tokens === undefined)
    throw new Error('csrfToken: no csrf stage with a secret stands before this; write csrf: { secret }')
  if (res.headersSent)
    throw new Error('csrfToken: the reply has begun, and its cookies cannot be changed any more')
  return tokens.issue(ctx)
}

function bindingOf(ctx: SecurityContext): string {
  return ctx.get(ambientProof)?.binding ?? ''
}

/** The length keeps a binding and what follows it apart. */
function mac(key: KeyObject, binding: string, random: string): Buffer {
  return createHmac('sha256', key).update(`csrf ${binding.length} ${binding} ${random}`).digest()
}

function isSame(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}
