import { consoleLog } from '../kernel/console-log.js'
import type { Principal, SecurityContext } from '../kernel/context.js'
import { guardedOnce, guardedRecords } from '../kernel/guarded.js'
import { isProblem, type Problem } from '../kernel/problem.js'
import type { Middleware } from '../kernel/stage.js'
import { accountOf, conclude, ownFactorHandler, type FactorProof, type Outside } from './factor-handler.js'
import { invalidProof } from './factor-refusals.js'
import { TotpDesk, type TotpConfirmation, type TotpEnrolment, type TotpStatus } from './totp-desk.js'
import { prepareTotp, type TotpOptions } from './totp-options.js'

export type { TotpConfirmation, TotpEnrolment, TotpStatus } from './totp-desk.js'
export type { TotpOptions } from './totp-options.js'

/** Endpoints for callers who are known, each to be mounted by one line behind the API. */
export interface TotpHandlers {
  /** `GET`: whether there is an app, and how many recovery codes are left. */
  readonly status: Middleware
  /** `POST {}`: a new secret. 409 `enrolment-refused` while there is one. */
  readonly enrol: Middleware
  /** `POST { code }`: makes it count, and hands out recovery codes. */
  readonly confirm: Middleware
  /** `POST { code }` or `{ recovery_code }`: shows the factor. */
  readonly verify: Middleware
  /** `POST { code }`: new recovery codes in place of all old ones. */
  readonly renew: Middleware
  /** `POST { code }` or `{ recovery_code }`: forgets the app and its recovery codes. */
  readonly remove: Middleware
}

/** The same without a request. What is refused is a returned `Problem`; a store that is away throws `StoreUnavailable`. */
export interface Totp {
  enrol(subject: string, account: string): Promise<TotpEnrolment | Problem>
  /** @param client whose guesses are slowed down together. Default: everybody's */
  confirm(subject: string, code: string, client?: string): Promise<TotpConfirmation | Problem>
  verify(subject: string, code: string, client?: string): Promise<FactorProof | Problem>
  /** A recovery code in the place of the app: a factor of the method `'recovery'`. Each is good once. */
  recover(subject: string, code: string): Promise<FactorProof | Problem>
  /** New recovery codes in place of all old ones. `undefined` if the subject has no app. */
  renewRecoveryCodes(subject: string): Promise<readonly string[] | undefined>
  /** Forgets the app of a subject, without a code: for operators. Whether there was one. */
  remove(subject: string): Promise<boolean>
  status(subject: string): Promise<TotpStatus>
  readonly handlers: TotpHandlers
}

/**
 * One-time codes of authenticator apps (RFC 6238) as a second factor: enrolled, confirmed before they count, each code good
 * once in all processes, guesses slowed down, and recovery codes for who lost the app. Needs the package `otpauth`.
 *
 * @example
 * const otp = totp({ store: redis(client), key: process.env.TOTP_KEY, issuer: 'Acme' })
 * app.post('/mfa/totp/verify', otp.handlers.verify)
 * @throws ConfigError for a store without records and claims, a weak key, and every option that breaks its rule
 */
export function totp(options: TotpOptions): Totp {
  const desk = new TotpDesk(prepareTotp(options))
  const { verified, account = subjectOf } = options
  const { clock, storeTimeoutMs: timeoutMs, store } = desk.rules
  const guard = { clock, log: consoleLog, timeoutMs }
  const { records, once } = store
  const own: Outside = {
    records: guardedRecords(records, guard),
    once: guardedOnce(once, guard),
    now: () => clock.now(),
  }
  const outside = ({ services }: SecurityContext): Outside => {
    const ports = services.portsOf(store)
    return { records: ports.records, once: ports.once, now: () => services.clock.now() }
  }
  const shown = (ctx: SecurityContext, subject: string, body: Readonly<Record<string, unknown>>) =>
    body.recovery_code === undefined
      ? desk.verify(outside(ctx), subject, body.code, ctx.clientKey)
      : desk.recover(outside(ctx), subject, body.recovery_code)

  const handlers: TotpHandlers = {
    status: ownFactorHandler('totp', 'GET', async ({ id }, ctx) => {
      const { active, since, recoveryCodesLeft } = await desk.status(outside(ctx), id)
      return { active, ...(since !== undefined && { since }), recovery_codes_left: recoveryCodesLeft }
    }),
    enrol: ownFactorHandler('totp', 'POST', async (principal, ctx) => {
      const made = await desk.enrol(outside(ctx), principal.id, accountOf(account, principal))
      return isProblem(made) ? made : { uri: made.uri, secret: made.secret, expires_in: made.expiresIn }
    }),
    confirm: ownFactorHandler('totp', 'POST', async ({ id }, ctx, { code }) => {
      const done = await desk.confirm(outside(ctx), id, code, ctx.clientKey)
      if (isProblem(done)) return done
      ctx.record('factor-enrolled', { subject: id, method: 'otp' })
      return conclude(ctx, done.proof, verified, { recovery_codes: done.recoveryCodes })
    }),
    verify: ownFactorHandler('totp', 'POST', async ({ id }, ctx, body) => {
      const proof = await shown(ctx, id, body)
      return isProblem(proof) ? proof : conclude(ctx, proof, verified)
    }),
    renew: ownFactorHandler('totp', 'POST', async ({ id }, ctx, { code }) => {
      const proof = await desk.verify(outside(ctx), id, code, ctx.clientKey)
      if (isProblem(proof)) return proof
      const codes = await desk.renew(outside(ctx), id)
      ctx.record('recovery-codes-renewed', { subject: id })
      return codes === undefined ? invalidProof('totp-unknown') : { recovery_codes: codes }
    }),
    remove: ownFactorHandler('totp', 'POST', async ({ id }, ctx, body) => {
      const proof = await shown(ctx, id, body)
      if (isProblem(proof)) return proof
      await desk.remove(outside(ctx), id)
      ctx.record('factor-removed', { subject: id, method: 'otp' })
      return { active: false }
    }),
  }
  return {
    enrol: (subject, name) => desk.enrol(own, subject, name),
    confirm: (subject, code, client = '') => desk.confirm(own, subject, code, client),
    verify: (subject, code, client = '') => desk.verify(own, subject, code, client),
    recover: (subject, code) => desk.recover(own, subject, code),
    renewRecoveryCodes: (subject) => desk.renew(own, subject),
    remove: (subject) => desk.remove(own, subject),
    status: (subject) => desk.status(own, subject),
    handlers,
  }
}

function subjectOf({ subject }: Principal): string {
  return subject
}
