import { createHmac, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { ambientProof, type AmbientProof } from '../kernel/ambient.js'
import { challenges } from '../kernel/challenges.js'
import type { Principal, SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import type { Problem } from '../kernel/problem.js'
import type { Verdict } from '../kernel/stage.js'
import { isStoreUnavailable } from '../kernel/store-unavailable.js'
import { Generations } from '../lib/generations.js'
import { inTime } from '../lib/in-time.js'
import { Attempts } from './attempts.js'
import { authorizationCount, credentialsFor } from './authorization.js'
import { parseBasic, type BasicCredentials } from './basic-credentials.js'
import { basicFindings } from './basic-findings.js'
import { prepareBasic, readUser, type BasicOptions, type KnownUser } from './basic-options.js'
import { basicRefusals } from './basic-refusals.js'
import { tooManyAttempts } from './factor-refusals.js'
import { HashingTurns } from './hashing-turns.js'
import type { Method } from './method.js'
import { hashOfNobody, isPassword, type PasswordAlgorithm, type PasswordHash } from './password-hash.js'
import { storeAway } from '../kernel/store-away.js'

export type { BasicOptions, BasicUser } from './basic-options.js'

/** Over a network, guesses are counted by name and address; those of a botnet slow down newcomers alone. */
const attempts = new Attempts({
  space: 'basic',
  each: { free: 5, firstMs: 1_000, mostMs: 900_000 },
  all: { free: 100, firstMs: 10_000, mostMs: 60_000 },
  forgetMs: 3_600_000,
})

/**
 * Accepts name and password (RFC 7617), over TLS only: for machines and operators that cannot do better. Nothing sent: 401
 * `unauthenticated`; malformed: 400 `invalid-request`; plain HTTP: 403 `tls-required`; wrong, or nobody has the name: 401
 * `invalid-credentials` after the same work; too many failures: 429 `too-many-attempts`; users or store away: 503.
 *
 * @example
 * secureApi({ auth: [basic({ users: { ops: await hashPassword(password) } })] })
 * @throws ConfigError for a password in the place of a hash, and every option that breaks its rule
 */
export const basic = defineStage('basic', (options: BasicOptions): Omit<Method, 'name'> => {
  const rules = prepareBasic(options)
  const { realm = 'api' } = options
  const refusals = basicRefusals(realm)
  const offered = [refusals.offered]
  const turns = new HashingTurns<boolean | number>(rules.maxHashing)
  const key = randomBytes(32)
  /** The hash that a password was verified with, by the keyed hash of name and password. */
  const verified = new Generations<string, string>(rules.cacheEntries)
  const nobody = new Nobody(rules.algorithms[0]!)

  const lookUp = ({ services }: SecurityContext, name: string): Promise<unknown> => {
    const late = () => new Error(`The users took longer than ${rules.lookupTimeoutMs} ms`)
    // What throws at once fails like what throws later.
    const asked = new Promise((resolve) => {
      resolve(rules.find(name))
    })
    return inTime(services.clock, rules.lookupTimeoutMs, asked, late)
  }

  const judge = async (
    ctx: SecurityContext,
    { name, password }: BasicCredentials,
  ): Promise<Principal | Problem> => {
    let found: unknown
    let user: KnownUser | undefined
    try {
      found = await lookUp(ctx, name)
    } catch (cause) {
      return refusals.because('users-unavailable', cause)
    }
    try {
      user = found === undefined || found === null ? undefined : readUser('user', found, rules.algorithms)
    } catch (cause) {
      return refusals.because('user-unusable', cause)
    }
    const digest = createHmac('sha256', key)
      .update(JSON.stringify([name, password]))
      .digest('base64')
    // Good only with the very hash it was verified with: a new password ends the old one at once.
    const isRemembered = () => user !== undefined && verified.get(digest) === user.hash
    if (user !== undefined && isRemembered()) return principalOf(name, user)

    const hash = nobody.like(user?.parsed)
    const outcome = await turns.run(
      ctx.services.clock,
      ctx.clientKey,
      `${digest} ${user?.hash ?? ''}`,
      async () => {
        // Others may have shown it while this one waited.
        if (isRemembered()) return true
        const right = await attempt(ctx, name, password, hash, user !== undefined)
        if (right === true && user !== undefined) verified.set(digest, user.hash)
        return right
      },
    )
    if (outcome === undefined) return refusals.because('hashing-crowded')
    if (typeof outcome === 'number') return tooManyAttempts(outcome)
    if (!outcome || user === undefined) return refusals.wrong()
    return principalOf(name, user)
  }

  /**
   * Counted before the work, so that many at once count as many, and the same for a name that nobody has.
   *
   * @returns whether the password is right, or how long to wait before it is looked at, in milliseconds
   */
  const attempt = async (
    ctx: SecurityContext,
    name: string,
    password: string,
    hash: PasswordHash,
    isKnown: boolean,
  ): Promise<boolean | number> => {
    const { services, clientKey } = ctx
    const { records } = rules.store === undefined ? services : services.portsOf(rules.store)
    const attempt = await attempts.take(records, name, clientKey, services.clock.now())
    if (attempt.waitMs > 0) return attempt.waitMs
    const right = (await isPassword(password, hash)) && isKnown
    if (right) await attempt.succeeded()
    return right
  }

  const isSafe = (ctx: SecurityContext): boolean =>
    ctx.services.isOverTls(ctx.req) || (rules.allowInsecureLoopback && isFromHere(ctx))

  return {
    gives: ['principal'],
    methodName: 'basic',
    insteadOfTwo: 'give one the users of both: basic({ users: (name) => ... }) may look in two places',
    unasked: 'a browser that was told a password once repeats it by itself',
    recognises: ({ req }) => credentialsFor('basic', req) !== undefined,
    challenge: () => refusals.offered,

    enter(ctx): Verdict | Promise<Verdict> {
      ctx.principal = undefined
      ctx.set(challenges, offered)
      if (!isSafe(ctx)) return refusals.plain()
      const field = credentialsFor('basic', ctx.req)
      if (field === undefined) return refusals.nothing()
      if (authorizationCount(ctx.req) > 1) return refusals.twice()
      const credentials = parseBasic(field.trim())
      if (credentials === undefined) return refusals.malformed()
      return judge(ctx, credentials).then(
        (outcome) => {
          if ('status' in outcome) return outcome
          ctx.principal = outcome
          ctx.set(ambientProof, REMEMBERED)
          ctx.note('password', 'name and password are right')
        },
        (error: unknown) => {
          if (!isStoreUnavailable(error)) throw error
          return storeAway(error.retryMs, 'The store of failed attempts cannot be reached')
        },
      )
    },

    describe: () => ({
      algorithms: rules.algorithms,
      maxHashing: rules.maxHashing,
      cacheEntries: rules.cacheEntries,
      lookupTimeoutMs: rules.lookupTimeoutMs,
      allowInsecureLoopback: rules.allowInsecureLoopback,
      realm,
    }),
    findings: () => basicFindings(rules),
    forget: (ctx) => {
      if (ctx.get(ambientProof) !== undefined) ctx.set(ambientProof, undefined)
    },
    close: () => {
      verified.clear()
      return Promise.resolve()
    },
  }
})

/** What is compared where nobody has the name: it costs as much as the hash of the user that was seen last (ASVS 6.3.8). */
class Nobody {
  private hash: PasswordHash

  constructor(algorithm: PasswordAlgorithm) {
    this.hash = hashOfNobody(algorithm)
  }

  like(user: PasswordHash | undefined): PasswordHash {
    if (user === undefined) return this.hash
    const { algorithm, cost } = this.hash
    if (user.algorithm !== algorithm || JSON.stringify(user.cost) !== JSON.stringify(cost))
      this.hash = hashOfNobody(user.algorithm, user.cost)
    return user
  }
}

/** Browsers send a password that they know unasked, also for pages of others. */
const REMEMBERED: AmbientProof = { binding: undefined, machines: true }

/** Fields by which proxies say for whom they speak, apart from all those that begin with `x-forwarded-`. */
const PROXY_FIELDS = [
  ...['forwarded', 'via', 'x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'x-original-forwarded-for'],
  ...['x-original-host', 'x-envoy-external-address', 'cf-connecting-ip', 'cf-ray', 'cdn-loop'],
  ...['true-client-ip', 'fastly-client-ip', 'x-azure-clientip', 'x-arr-ssl', 'x-amzn-trace-id'],
]

/** A request that a proxy on this machine hands on comes from this machine too. */
function isFromHere({ req: { socket, headers } }: SecurityContext): boolean {
  const { remoteAddress: address = '' } = socket
  const bare = address.startsWith('::ffff:') ? address.slice(7) : address
  if (bare !== '::1' && !(isIP(bare) === 4 && bare.startsWith('127.'))) return false
  return (
    PROXY_FIELDS.every((field) => headers[field] === undefined) &&
    Object.keys(headers).every((field) => !field.startsWith('x-forwarded-'))
  )
}

function principalOf(name: string, { subject = name, claims }: KnownUser): Principal {
  return Object.freeze({
    // No issuer is called so, and no issuer can speak for a user of ours (ASVS 6.8.1).
    id: `basic-auth ${subject}`,
    subject,
    method: 'basic',
    claims: Object.freeze({ ...claims }),
    authentication: TYPED_SOMEWHEN,
  })
}

/** When a person last typed the password nobody knows: browsers send it by themselves. */
const TYPED_SOMEWHEN = Object.freeze({ amr: Object.freeze(['pwd']) })
