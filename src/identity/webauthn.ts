import { randomBytes } from 'node:crypto'
import { consoleLog } from '../kernel/console-log.js'
import type { SecurityContext } from '../kernel/context.js'
import { guardedOnce, guardedRecords } from '../kernel/guarded.js'
import { isProblem, refuse, type Problem } from '../kernel/problem.js'
import type { Middleware } from '../kernel/stage.js'
import { addCookie, cookieField, cookiesNamed } from '../lib/cookie.js'
import { isObject } from '../lib/is-object.js'
import {
  accountOf,
  conclude,
  factorHandler,
  ownFactorHandler,
  type FactorHooks,
  type FactorProof,
  type Outside,
} from './factor-handler.js'
import { invalidProof } from './factor-refusals.js'
import { passkeyInfo, type PasskeyInfo } from './passkey-record.js'
import type { ShownPasskey } from './passkey-shelf.js'
import { WebauthnDesk } from './webauthn-desk.js'
import { prepareWebauthn, type WebauthnOptions } from './webauthn-options.js'

export type { PasskeyInfo, PasskeyOwner } from './passkey-record.js'
export type { Attestation, WebauthnOptions } from './webauthn-options.js'

/** Endpoints that speak the JSON of WebAuthn level 3, each to be mounted by one line. */
export interface WebauthnHandlers {
  /** `POST {}`, for who is known: options for `navigator.credentials.create`. 409 `enrolment-refused` if there are too many. */
  readonly registrationOptions: Middleware
  /** `POST { credential, name }`, for who is known: keeps the passkey. */
  readonly register: Middleware
  /** `POST {}`, for who is known: options for `navigator.credentials.get` with an own passkey. */
  readonly authenticationOptions: Middleware
  /** `POST { credential }`, for who is known: shows the factor. */
  readonly authenticate: Middleware
  /** `POST {}`, for anybody: options for `navigator.credentials.get`, and a cookie that binds them to this browser. */
  readonly loginOptions: Middleware
  /** `POST { credential }`, for anybody: says who it is, whoever is logged in; `verified` opens a session or issues a token. */
  readonly login: Middleware
  /** `GET`, for who is known: the own passkeys. */
  readonly list: Middleware
  /** `POST { id }`, for who is known: forgets one. Ask for `stepUp` before it. */
  readonly remove: Middleware
}

/** Passkeys, for operators and for handlers of your own. A store that is away throws `StoreUnavailable`. */
export interface Webauthn {
  list(subject: string): Promise<readonly PasskeyInfo[]>
  /** Whether there was one. */
  remove(subject: string, id: string): Promise<boolean>
  readonly handlers: WebauthnHandlers
}

/** With attestation, certificates come along. */
const MAX_BODY_BYTES = 65_536

/**
 * Passkeys (W3C WebAuthn) as a first or a further factor: user verification always, challenges good once and bound to subject
 * or browser, exact origins, counters. Needs the package `@simplewebauthn/server`.
 *
 * @example
 * const passkeys = webauthn({ store: redis(client), key, rpId: 'example.com', rpName: 'Acme', origins: ['https://example.com'], verified })
 * app.post('/passkeys/authenticate', passkeys.handlers.authenticate)
 * @throws ConfigError for a store without records and claims, a weak key, and every option that breaks its rule
 */
export function webauthn(options: WebauthnOptions): Webauthn {
  const desk = new WebauthnDesk(prepareWebauthn(options))
  const { clock, storeTimeoutMs: timeoutMs, store, origins } = desk.rules
  // For development on `http://localhost`, where browsers keep no cookie with the prefix.
  const secure = !origins.some((origin) => origin.startsWith('http:'))
  const cookie = secure ? '__Host-passkey' : 'passkey'
  const attributes = { secure, httpOnly: true, sameSite: 'strict' } as const
  const { verified } = options
  const account: NonNullable<FactorHooks['account']> = options.account ?? (({ subject }) => subject)
  const guard = { clock, log: consoleLog, timeoutMs }
  const own: Outside = {
    records: guardedRecords(store.records, guard),
    once: guardedOnce(store.once, guard),
    now: () => clock.now(),
  }
  const outside = ({ services }: SecurityContext): Outside => {
    const { records, once } = services.portsOf(store)
    return { records, once, now: () => services.clock.now() }
  }

  const shown = async (
    ctx: SecurityContext,
    subject: string | undefined,
    holder: string,
    { credential }: Readonly<Record<string, unknown>>,
  ) => {
    if (!isObject(credential)) return invalidProof('passkey-malformed')
    const outcome = await desk.authenticate(outside(ctx), subject, holder, credential)
    if (!isProblem(outcome)) return conclude(ctx, proofOf(outcome, outside(ctx).now()), verified)
    // The only refusal of one that was signed as it should be: somebody should know.
    if (outcome.rule === 'passkey-counter') ctx.record('passkey-copied', { id: credential.id })
    return outcome
  }

  const handlers: WebauthnHandlers = {
    registrationOptions: ownFactorHandler('webauthn', 'POST', (principal, ctx) =>
      desk.registrationOptions(outside(ctx), principal, accountOf(account, principal)),
    ),
    register: ownFactorHandler(
      'webauthn',
      'POST',
      async (principal, ctx, { credential, name }) => {
        if (!isObject(credential)) return invalidProof('passkey-malformed')
        if (!isName(name)) return badName()
        const passkey = await desk.register(outside(ctx), principal, credential, name)
        if (isProblem(passkey)) return passkey
        ctx.record('factor-enrolled', { subject: principal.id, method: METHOD, id: passkey.id })
        return { passkey: passkeyInfo(passkey) }
      },
      MAX_BODY_BYTES,
    ),
    authenticationOptions: ownFactorHandler('webauthn', 'POST', ({ id }, ctx) =>
      desk.authenticationOptions(outside(ctx), id, id),
    ),
    authenticate: ownFactorHandler('webauthn', 'POST', ({ id }, ctx, body) => shown(ctx, id, id, body)),
    loginOptions: factorHandler('webauthn', 'POST', async (ctx) => {
      const [kept = '', another] = cookiesNamed(cookie, ctx.req.headers.cookie)
      // One that is there stays, so that several pages may ask at once.
      const isKept = another === undefined && /^[\w-]{43}$/.test(kept)
      const browser = isKept ? kept : randomBytes(32).toString('base64url')
      if (!isKept) addCookie(ctx.head, cookie, cookieField(cookie, browser, attributes))
      return desk.authenticationOptions(outside(ctx), undefined, browser)
    }),
    login: factorHandler('webauthn', 'POST', (ctx, body) => {
      const [browser, another] = cookiesNamed(cookie, ctx.req.headers.cookie)
      if (browser === undefined || another !== undefined)
        return Promise.resolve(invalidProof('passkey-challenge'))
      return shown(ctx, undefined, browser, body)
    }),
    list: ownFactorHandler('webauthn', 'GET', async ({ id }, ctx) => ({
      passkeys: (await desk.list(outside(ctx), id)).map(passkeyInfo),
    })),
    remove: ownFactorHandler('webauthn', 'POST', async (principal, ctx, { id }) => {
      const removed = await desk.remove(outside(ctx), principal.id, id)
      if (removed) ctx.record('factor-removed', { subject: principal.id, method: METHOD, id })
      return { removed }
    }),
  }
  return {
    list: async (subject) => (await desk.list(own, subject)).map(passkeyInfo),
    remove: (subject, id) => desk.remove(own, subject, id),
    handlers,
  }
}

/** RFC 8176: a key was used, by somebody who was there, and whom the authenticator knows by a PIN or a finger. */
const METHOD = 'pop'
const AMR = ['pop', 'user', 'mfa']

function proofOf({ owner, passkey }: ShownPasskey, nowMs: number): FactorProof {
  return {
    subject: owner.id,
    factor: { method: METHOD, at: Math.floor(nowMs / 1000) },
    amr: AMR,
    passkey: { ...passkeyInfo(passkey), owner },
  }
}

function isName(name: unknown): name is string | undefined {
  return name === undefined || (typeof name === 'string' && name !== '' && name.length <= 64)
}

function badName(): Problem {
  return refuse('invalid-input', {
    rule: 'passkey-name',
    detail: 'A passkey has a name of 1 to 64 characters, or none',
  })
}
