import { createPublicKey, randomUUID, type JsonWebKey, type KeyObject } from 'node:crypto'
import { knownKeys, oneOf } from '../kernel/check.js'
import type { Clock } from '../kernel/ports.js'
import { systemClock } from '../kernel/system-clock.js'
import { keyAlgorithms, makeKey, type KeyAlgorithm } from './keys.js'
import { signToken } from './sign.js'

export interface LocalIssuerOptions {
  /** The `iss` of its tokens. Default `https://issuer.test`. */
  issuer?: string
  /** The `aud` of its tokens. Default `https://api.test`. */
  audience?: string
  /** What it signs with. Default `ES256`, whose keys are made quickly. */
  algorithm?: KeyAlgorithm
  /** Dates its tokens: give it the clock of the API under test. Default: the system's. */
  clock?: Pick<Clock, 'now'>
}

export interface MintOptions {
  /** Header parameters to add or to change; `undefined` leaves one out. Default: none. */
  header?: Readonly<Record<string, unknown>>
  /** A private key or secret to sign with. Default: the issuer's own. */
  key?: KeyObject
  /** How to sign. Default: what the header says. */
  algorithm?: string
}

/** An identity provider without a network. */
export interface LocalIssuer {
  readonly issuer: string
  readonly audience: string
  /** The key set as it is published now. */
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
  /** The private key that signs now. */
  readonly key: KeyObject
  /** Answers for metadata and keys; every other address fails. For the `fetch` option of `secureApi` and `serve`. */
  readonly fetch: typeof fetch
  /** How often metadata and keys were asked for, answered or not. */
  readonly calls: { readonly metadata: number; readonly keys: number }
  /**
   * A valid access token (RFC 9068) for subject `user-1`, good for five minutes, with `claims` added or changed; `undefined` leaves a
   * claim out.
   */
  mint(claims?: Readonly<Record<string, unknown>>, options?: MintOptions): string
  /** The header field of a caller with such a token: `request(app).get('/orders').set(issuer.asUser({ roles: ['clerk'] }))`. */
  asUser(claims?: Readonly<Record<string, unknown>>, options?: MintOptions): { Authorization: string }
  /** Signs with a new key from now on. The old one stays published, unless it is withdrawn. */
  rotate(options?: { withdraw?: boolean }): void
  /** From now on, every connection fails. */
  down(): void
  /** From now on, no connection is answered. */
  hang(): void
  /** From now on, all is well again. */
  up(): void
}

/**
 * Stands in for an identity provider in tests: mints tokens, publishes keys, rotates them, and fails on demand.
 *
 * @example
 * const issuer = localIssuer()
 * const api = secureApi({ auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })], fetch: issuer.fetch })
 * await request(app).get('/orders').set('Authorization', `Bearer ${issuer.mint({ scope: 'orders:read' })}`).expect(200)
 */
export function localIssuer(options: LocalIssuerOptions = {}): LocalIssuer {
  knownKeys('localIssuer', options, ['issuer', 'audience', 'algorithm', 'clock'])
  const {
    issuer = 'https://issuer.test',
    audience = 'https://api.test',
    algorithm = 'ES256',
    clock = systemClock,
  } = options
  oneOf('localIssuer.algorithm', algorithm, keyAlgorithms)
  const { origin, pathname } = new URL(issuer)
  const base = `${origin}${pathname.replace(/\/$/, '')}`
  const metadataUrl = `${base}/.well-known/openid-configuration`
  const jwksUrl = `${base}/jwks`

  let made = 0
  const nextKey = () => ({ kid: `key-${++made}`, key: makeKey(algorithm) })
  let current = nextKey()
  let published = [publicJwk(current, algorithm)]
  let state: 'up' | 'down' | 'hanging' = 'up'
  const calls = { metadata: 0, keys: 0 }

  const answer = (url: string): unknown => {
    if (url === metadataUrl) return { issuer, jwks_uri: jwksUrl }
    if (url === jwksUrl) return { keys: published }
    throw new TypeError('fetch failed')
  }

  const mint: LocalIssuer['mint'] = (claims = {}, options = {}) => {
    knownKeys('mint', options, ['header', 'key', 'algorithm'])
    const { header = {}, key = current.key, algorithm: how } = options
    const now = Math.floor(clock.now() / 1000)
    const head = { alg: algorithm, typ: 'at+jwt', kid: current.kid, ...header }
    const payload = {
      iss: issuer,
      aud: audience,
      sub: 'user-1',
      client_id: 'client-1',
      iat: now,
      exp: now + 300,
      jti: randomUUID(),
      ...claims,
    }
    return signToken(head, payload, key, how ?? head.alg)
  }

  return {
    issuer,
    audience,
    calls,
    get jwks() {
      return { keys: published }
    },
    get key() {
      return current.key
    },
    fetch: async (input, init) => {
      const url = input instanceof Request ? input.url : String(input)
      if (url === metadataUrl) calls.metadata++
      if (url === jwksUrl) calls.keys++
      if (state === 'down') throw new TypeError('fetch failed')
      if (state === 'hanging') await forever(init?.signal)
      return Response.json(answer(url))
    },
    mint,
    asUser: (claims, options) => ({ Authorization: `Bearer ${mint(claims, options)}` }),
    rotate(options = {}) {
      knownKeys('rotate', options, ['withdraw'])
      const { withdraw = false } = options
      current = nextKey()
      published = [publicJwk(current, algorithm), ...(withdraw ? [] : published)]
    },
    down: () => void (state = 'down'),
    hang: () => void (state = 'hanging'),
    up: () => void (state = 'up'),
  }
}

function publicJwk({ kid, key }: { kid: string; key: KeyObject }, alg: string): JsonWebKey {
  return { ...createPublicKey(key).export({ format: 'jwk' }), kid, alg, use: 'sig' }
}

function forever(signal: AbortSignal | null | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
