import { createHash, randomBytes } from 'node:crypto'
import type { SecurityContext } from '../kernel/context.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'
import { attempt } from '../lib/attempt.js'
import { addCookie, cookieField, cookiesNamed } from '../lib/cookie.js'
import { seal, unseal } from './session-seal.js'
import type { SsoRules } from './sso-options.js'

/** What a login that is under way needs when it comes back. */
export interface Transaction {
  readonly nonce: string
  readonly verifier: string
  readonly returnTo: string
}

interface Kept {
  readonly browser: string
  readonly sealed: string
}

const SPACE = 'sso-login'
const RANDOM = /^[A-Za-z0-9_-]{43}$/

/**
 * Logins that are under way: each in a record under the hash of its state, sealed with that state, good once, for a short
 * while, and only for the browser that began it: a cookie tells browsers apart, as long as they are open. Several may be
 * under way in one.
 */
export class Transactions {
  private readonly cookie: string
  /** To whom the user was sent, and where it comes back: what was begun with one provider is not completed with another (RFC 9700 section 4.4.2). */
  private readonly way: readonly string[]

  constructor(private readonly rules: SsoRules) {
    this.cookie = rules.secure ? '__Host-sso' : 'sso'
    this.way = [rules.issuer.name, rules.clientId, rules.redirectUri]
  }

  async begin(ctx: SecurityContext, transaction: Transaction): Promise<string> {
    const { loginTimeoutMs, store } = this.rules
    const state = randomText()
    const browser = this.browserOf(ctx) ?? this.newBrowser(ctx)
    const kept: Kept = { browser: digest(browser), sealed: seal(state, JSON.stringify(transaction)) }
    const { records } = ctx.services.portsOf(store)
    await records.put(SPACE, this.keyOf(state), JSON.stringify(kept), loginTimeoutMs)
    return state
  }

  /** The login of this state, once. What another browser brings is left for the one that began it. */
  async take(ctx: SecurityContext, state: string): Promise<Transaction | 'sso-state' | 'sso-browser'> {
    if (!RANDOM.test(state)) return 'sso-state'
    const { records } = ctx.services.portsOf(this.rules.store)
    const key = this.keyOf(state)
    const text = await records.get(SPACE, key)
    if (text === undefined) return 'sso-state'
    const { browser, sealed } = readKept(text)
    const own = this.browserOf(ctx)
    if (own === undefined || digest(own) !== browser) return 'sso-browser'
    if (!(await records.delete(SPACE, key))) return 'sso-state'
    const begun = attempt(() => JSON.parse(unseal(state, sealed)) as Transaction, undefined)
    if (begun === undefined) throw unreadable()
    return begun
  }

  private keyOf(state: string): string {
    return digest(JSON.stringify([...this.way, state]))
  }

  private newBrowser({ head }: SecurityContext): string {
    const browser = randomText()
    // The way back begins on another site: with Strict, browsers would not send it.
    const attributes = { secure: this.rules.secure, httpOnly: true, sameSite: 'lax' } as const
    addCookie(head, this.cookie, cookieField(this.cookie, browser, attributes))
    return browser
  }

  private browserOf({ req }: SecurityContext): string | undefined {
    const [own, another] = cookiesNamed(this.cookie, req.headers.cookie)
    return own !== undefined && another === undefined && RANDOM.test(own) ? own : undefined
  }
}

/** 256 bits (ASVS 10.1.2, 10.2.1). */
export function randomText(): string {
  return randomBytes(32).toString('base64url')
}

/** @throws StoreUnavailable for what this package did not write */
function readKept(text: string): Kept {
  const kept = attempt(() => JSON.parse(text) as Partial<Kept> | null, undefined)
  if (typeof kept?.browser === 'string' && typeof kept.sealed === 'string') return kept as Kept
  throw unreadable()
}

function unreadable(): StoreUnavailable {
  return new StoreUnavailable('The store has something else than a login under the key of one', 0, 1_000)
}

/** What is compared is a hash: time tells nothing of what was hashed. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
