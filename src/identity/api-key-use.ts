import type { SecurityContext } from '../kernel/context.js'
import { unwaited } from '../kernel/unwaited.js'
import { Generations } from '../lib/generations.js'
import type { VerifiedKey } from './api-key.js'
import type { ApiKeyRules } from './api-key-options.js'
import { KEYS, LAST_USED, timeToLive, type KeyRecord } from './api-key-record.js'
import { bodyOf } from './api-key-text.js'

/** Keys of which a process knows when it noted them last. Beyond that, some are noted more often. */
const MAX_KEYS = 10_000

/**
 * Writes down that a key is used, beside the request and seldom: nobody waits for it, and what fails is made good by a
 * later use. In a record of its own, so that nothing that decides about a key is ever written for that.
 */
export class KeyUse {
  private readonly noted = new Generations<string, number>(MAX_KEYS)

  constructor(private readonly rules: ApiKeyRules) {}

  note(ctx: SecurityContext, used: VerifiedKey, key: string): void {
    const { clock, portsOf } = ctx.services
    const { lastUsedMs, store } = this.rules
    const { id } = used
    if (lastUsedMs === 0) return
    const monotonic = clock.monotonic()
    if (monotonic - (this.noted.get(id) ?? -Infinity) < lastUsedMs) return
    this.noted.set(id, monotonic)

    const { records } = portsOf(store)
    const now = clock.now()
    const ttl = timeToLive(used.record, now)
    unwaited(() => records.put(LAST_USED, id, String(now), ttl))
    if (!this.rules.peppers.isOld(used.secret)) return
    unwaited(() => records.replace(KEYS, id, used.text, this.rehashed(used, key), ttl))
  }

  /** The same record, its secret hashed with the pepper of today. */
  private rehashed({ record, secret }: VerifiedKey, key: string): string {
    const hashed = this.rules.peppers.hash(bodyOf(key))
    const secrets = record.secrets.map((one) => (one === secret ? { ...one, ...hashed } : one))
    return JSON.stringify({ ...record, secrets } satisfies KeyRecord)
  }
}
