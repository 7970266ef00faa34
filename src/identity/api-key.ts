import { hash } from 'node:crypto'
import type { BlockList } from 'node:net'
import { challenges } from '../kernel/challenges.js'
import type { Principal, SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import { fieldCount } from '../kernel/field-count.js'
import type { Later } from '../kernel/ports.js'
import type { Problem } from '../kernel/problem.js'
import type { Verdict } from '../kernel/stage.js'
import { deepFreeze } from '../lib/deep-freeze.js'
import { Generations } from '../lib/generations.js'
import { isThenable, when } from '../lib/when.js'
import { addressList, isListed } from './api-key-addresses.js'
import { KeyLimits, sameLimit } from './api-key-limit.js'
import { prepareApiKey, type ApiKeyOptions, type Place } from './api-key-options.js'
import { KEYS, readRecord, type KeyLimit, type KeyRecord } from './api-key-record.js'
import { apiKeyRefusals, type KeyFault } from './api-key-refusals.js'
import { bodyOf, keyLength, newId, newKey, parseKey } from './api-key-text.js'
import { KeyUse } from './api-key-use.js'
import { authorizationCount, credentialsFor } from './authorization.js'
import type { Method } from './method.js'
import { storeAway, whenStored } from '../kernel/store-away.js'

export type { ApiKeyOptions, ApiKeyStoreOptions } from './api-key-options.js'

/** A key whose secret was verified, as long as its record is the one it was verified with. */
export interface VerifiedKey {
  readonly id: string
  readonly text: string
  readonly record: KeyRecord
  /** Which of its secrets it was. */
  readonly secret: KeyRecord['secrets'][number]
  readonly principal: Principal
  readonly addresses: BlockList | undefined
  /** Its own limit. */
  readonly limit: KeyRecord['limit']
  /** When it ends, in milliseconds since 1970; what was revoked has ended. */
  readonly endsAt: number
  /** From when on its end is announced. */
  readonly noticeFrom: number
}

/** What was counted before it was known whether the record still says so. Counters in memory answer at once, and with nothing if all is well. */
interface Counted {
  readonly limit: KeyLimit
  readonly outcome: Later<void | Problem>
}

/**
 * Accepts API keys from one header field and from nowhere else. Nothing sent: 401 `unauthenticated`; sent twice: 400
 * `invalid-request`; malformed, unknown, expired, revoked, or used from elsewhere than it may be: 401 `invalid-api-key`;
 * more requests than the key may make: 429 `quota-exceeded`; the store is away: 503 `store-unavailable`.
 *
 * @example
 * secureApi({ auth: [apiKey({ store: redis(client), pepper: process.env.API_KEY_PEPPER, prefix: 'acme' })] })
 * @throws ConfigError for a store without records, a weak pepper, and every option that breaks its rule
 */
export const apiKey = defineStage('apiKey', (options: ApiKeyOptions): Omit<Method, 'name'> => {
  const rules = prepareApiKey(options)
  const { store, peppers, prefix, place, noticeMs, lastUsedMs, cacheEntries } = rules
  const { realm = 'api' } = options
  const refusals = apiKeyRefusals(place, realm)
  const offered = [refusals.offered]
  const verified = new Generations<string, VerifiedKey>(cacheEntries)
  const length = keyLength(prefix)
  const limits = new KeyLimits(store)
  const use = new KeyUse(rules)
  const nobody = recordOfNobody(prefix, (body) => peppers.hash(body))

  /** An id that nobody has is looked at like one that somebody has. */
  const verify = (field: string, text: string = nobody): VerifiedKey | undefined => {
    const record = readRecord(text)
    const secret = record.secrets[peppers.find(bodyOf(field), record.secrets)]
    return secret === undefined ? undefined : verifiedKey(text, record, secret, noticeMs)
  }

  const refuseUse = (ctx: SecurityContext, { record }: VerifiedKey, fault: KeyFault): Verdict => {
    // Somebody has the secret: the owner who missed its end, or a thief. Either way somebody should know.
    ctx.record(fault, { keyId: record.id, owner: record.owner })
    return refusals.because(fault)
  }

  const judge = (
    ctx: SecurityContext,
    field: string,
    digest: string,
    known: VerifiedKey | undefined,
    text: string | undefined,
    counted?: Counted,
  ): Verdict | Promise<Verdict> => {
    let found = known
    if (found === undefined || found.text !== text) {
      try {
        found = verify(field, text)
      } catch (cause) {
        return storeAway(1_000, 'The record of the key cannot be read', cause)
      }
      if (found === undefined) {
        verified.delete(digest)
        return refusals.because(text === undefined ? 'api-key-unknown' : 'api-key-secret')
      }
      verified.set(digest, found)
    }
    const now = ctx.services.clock.now()
    if (!(now < found.endsAt)) return refuseUse(ctx, found, whyEnded(found, now))
    if (!isHere(ctx, found)) return refuseUse(ctx, found, 'api-key-address')

    const isCounted = counted !== undefined && sameLimit(counted.limit, found.limit)
    const exhausted = isCounted ? counted.outcome : found.limit && limits.take(ctx, found.id, found.limit)
    const accepted = found
    return when(exhausted, (problem) => problem ?? accept(ctx, accepted, field, now))
  }

  /**
   * Counts beside the read of the record instead of behind it, so that both are one round trip. Only for whoever had the secret
   * when the record was read last: nobody else uses up a limit.
   */
  const countEarly = (ctx: SecurityContext, known: VerifiedKey): Counted | undefined => {
    const { limit, id, endsAt } = known
    if (limit === undefined || ctx.services.clock.now() >= endsAt || !isHere(ctx, known)) return undefined
    return { limit, outcome: limits.take(ctx, id, limit) }
  }

  const accept = (ctx: SecurityContext, key: VerifiedKey, field: string, now: number): undefined => {
    ctx.principal = key.principal
    if (now > key.noticeFrom) ctx.head.setHeader(EXPIRES, new Date(key.endsAt).toUTCString())
    use.note(ctx, key, field)
    ctx.note('api-key', 'the API key is valid')
  }

  return {
    gives: ['principal'],
    methodName: 'apiKey',
    insteadOfTwo: 'keep all keys in the store of one, and tell them apart by their owners, scopes and roles',
    ...('field' in place && { ownField: true as const }),
    recognises: (ctx) => fieldOf(place, ctx) !== undefined,
    challenge: () => refusals.offered,

    enter(ctx) {
      ctx.principal = undefined
      ctx.set(challenges, offered)
      const field = fieldOf(place, ctx)
      if (field === undefined) return refusals.nothing()
      const count = 'field' in place ? fieldCount(ctx.req, place.field) : authorizationCount(ctx.req)
      if (count > 1) return refusals.twice()
      if (field.length !== length) return refusals.malformed()
      const digest = hash('sha256', field, 'base64')
      const known = verified.get(digest)
      // What was verified before need not be read again to be found.
      const id = known === undefined ? parseKey(prefix, field)?.id : known.id
      if (id === undefined) return refusals.malformed()

      const text = ctx.services.portsOf(store).records.get(KEYS, id)
      const counted = known !== undefined && isThenable(text) ? countEarly(ctx, known) : undefined
      return whenStored(text, 'The store of the keys cannot be reached', (found) =>
        judge(ctx, field, digest, known, found, counted),
      )
    },

    forget: ({ head }) => head.removeHeader(EXPIRES),
    findings: (shared) => limits.findings(shared),

    describe: () => ({
      ...('field' in place ? { header: place.shown } : place),
      prefix,
      noticeMs,
      lastUsedMs,
      cacheEntries,
      realm,
    }),
    close: () => {
      verified.clear()
      return Promise.resolve()
    },
  }
})

const EXPIRES = 'API-Key-Expires'

function fieldOf(place: Place, { req }: SecurityContext): string | undefined {
  if ('scheme' in place) return credentialsFor(place.scheme.toLowerCase(), req)?.trim()
  return req.headers[place.field] as string | undefined
}

function verifiedKey(
  text: string,
  record: KeyRecord,
  secret: VerifiedKey['secret'],
  noticeMs: number,
): VerifiedKey {
  const { id, owner, name, scopes, roles, cidrs, limit, expiresAt = Infinity, revokedAt } = record
  const { graceUntil } = secret
  const endsAt = Math.min(expiresAt, graceUntil ?? Infinity)
  const claims = { key_id: id, ...(name !== undefined && { key_name: name }), scope: scopes.join(' '), roles }
  const principal: Principal = {
    // No issuer is called so, and no issuer can speak for an owner of keys (ASVS 6.8.1).
    id: `api-key ${owner}`,
    subject: owner,
    method: 'apiKey',
    claims,
    issuedAt: Math.floor(secret.createdAt / 1000),
    ...(endsAt !== Infinity && { expiresAt: Math.floor(endsAt / 1000) }),
  }
  deepFreeze(principal)
  return {
    id,
    text,
    record,
    secret,
    principal,
    addresses: cidrs.length === 0 ? undefined : addressList(cidrs),
    limit,
    endsAt: revokedAt === undefined ? endsAt : -Infinity,
    noticeFrom: graceUntil === undefined ? endsAt - noticeMs : -Infinity,
  }
}

/** Whether the key may be used from where the request comes from. */
function isHere(ctx: SecurityContext, { addresses }: VerifiedKey): boolean {
  return addresses === undefined || isListed(addresses, ctx.clientIp)
}

function whyEnded({ record }: VerifiedKey, now: number): KeyFault {
  if (record.revokedAt !== undefined) return 'api-key-revoked'
  if (now >= (record.expiresAt ?? Infinity)) return 'api-key-expired'
  return 'api-key-superseded'
}

/** Looks like any other record, and no key that anybody has fits it. */
function recordOfNobody(prefix: string, hashed: (body: string) => { hash: string; pepper: string }): string {
  const id = newId()
  const secrets = [{ createdAt: 0, ...hashed(newKey(prefix, id).body) }]
  const record: KeyRecord = {
    v: 1,
    id,
    owner: 'nobody',
    scopes: ['nothing'],
    roles: [],
    cidrs: [],
    createdAt: 0,
    secrets,
  }
  return JSON.stringify(record)
}
