import type { SecurityContext } from '../kernel/context.js'
import { getMany } from '../kernel/many-records.js'
import type { Claims } from './claims.js'
import { MAX_AGE_SECONDS, type LoggedOut } from './sso-logout-token.js'
import type { SsoRules } from './sso-options.js'
import { digest } from './sso-transaction.js'

const USED = 'sso-logout-token'
const ENDED = 'sso-logout'

/** Logouts of which the provider told: by which tokens, and whose. */
export class Logouts {
  constructor(private readonly rules: SsoRules) {}

  /** Whether the provider told of it before, and all of it ended then. */
  async isDone(ctx: SecurityContext, { jti }: LoggedOut): Promise<boolean> {
    return (await this.recordsOf(ctx).get(USED, this.key('jti', jti))) !== undefined
  }

  async done(ctx: SecurityContext, { jti }: LoggedOut): Promise<void> {
    const seconds = MAX_AGE_SECONDS + 2 * this.rules.clockToleranceSeconds
    await this.recordsOf(ctx).put(USED, this.key('jti', jti), '1', seconds * 1000)
  }

  /** For logins that are on their way back, whose sessions cannot be ended yet: noted before the others end. */
  async note(ctx: SecurityContext, { sid, subject, issuedAt }: LoggedOut): Promise<void> {
    const whose: [what: string, name: string][] = []
    if (sid !== undefined) whose.push(['sid', sid])
    if (subject !== undefined) whose.push([sid === undefined ? 'sub' : 'unnamed', subject])
    const records = this.recordsOf(ctx)
    for (const [what, name] of whose)
      await records.put(ENDED, this.key(what, name), String(issuedAt), this.rules.loginTimeoutMs)
  }

  /** Whether the login of an ID token was over before its session began. Both times are the provider's own. */
  async overtook(ctx: SecurityContext, { sub, sid, iat }: Claims): Promise<boolean> {
    const named = typeof sid === 'string' ? this.key('sid', sid) : this.key('unnamed', sub)
    const ended = await getMany(this.recordsOf(ctx), ENDED, [named, this.key('sub', sub)])
    return ended.some((at) => at !== undefined && !((iat as number) > Number(at)))
  }

  private recordsOf({ services }: SecurityContext) {
    return services.portsOf(this.rules.store).records
  }

  private key(what: string, name: unknown): string {
    const { issuer, clientId } = this.rules
    return digest(JSON.stringify([issuer.name, clientId, what, name]))
  }
}
