import { boolean, integer, knownKeys } from '../kernel/check.js'
import { prepareBearerIssuers } from './bearer-issuers.js'
import { certificateSource, type CertificateSource } from './client-certificate.js'
import { modeOf, prepareDpop, type DpopMode, type DpopOptions, type DpopRules } from './dpop-options.js'
import { PROTECTING, TERMS } from './issuer-terms.js'
import type { IssuerOptions } from './issuers.js'
import { resourceUrl } from './resource.js'
import type { Revocation } from './revocation.js'
import { TokenReader } from './token.js'
import type { TokenRules } from './verify.js'

export interface BearerOptions extends Partial<Omit<IssuerOptions, 'issuer' | 'revocation' | 'dpop'>> {
  /**
   * The exact `iss` of accepted tokens, one or several; their keys are found by discovery. The options `jwksUri`, `keys`
   * and `secret` beside it say otherwise for a single issuer. Required, unless `issuers` is there. Another `iss`: 401 `invalid-token`.
   */
  issuer?: string | readonly string[]
  /**
   * Instead of `issuer`: several issuers, each with its own keys, and with its own audience, algorithms, types, lifetimes and the like; what one leaves out
   * is as it stands beside the list. Required, unless `issuer` is there.
   */
  issuers?: readonly IssuerOptions[]
  /**
   * Who this API is in the `aud` of its tokens; one of several is enough. Required, because without it a token for any other API of
   * the same issuer would be accepted. Another `aud`: 401 `invalid-token` (RFC 9068 section 4).
   */
  audience?: string | readonly string[]
  /** Longest accepted token, in bytes. Default 8,192. Longer: 401 `invalid-token`, before anything of it is read. */
  maxTokenBytes?: number
  /**
   * How long fetched keys serve while newer ones cannot be had, in milliseconds since they were fetched. Default 3,600,000, an hour.
   * Then: 503 `identity-provider-unavailable`.
   */
  maxStaleMs?: number
  /** How many verified tokens are remembered, some 700 bytes each, from their second use on. Default 10,000. 0 verifies each every time. */
  cacheEntries?: number
  /**
   * What was revoked, as `revocations({ store })` keeps it: read for each token, by one question. Default: none, and a token is good until
   * it expires. Revoked, itself or with its session or subject: 401 `invalid-token`. The store is away: 503 `store-unavailable`.
   */
  revocation?: Revocation
  /** Accepts http for metadata and keys on this machine, for development. Default false: only https. */
  allowInsecureLoopback?: boolean
  /** The `realm` of challenges. Default `'api'`. */
  realm?: string
  /**
   * The URL that names this API to clients as a protected resource (RFC 9728 section 1.2), such as `'https://api.example.com'`:
   * challenges say where its metadata is, which `resourceMetadata` serves. Default: none, and no challenge says so.
   */
  resource?: string
  /**
   * Whether tokens come with a proof that the client has the key they are bound to (RFC 9449): `'required'`, `'allowed'`, `'off'`, or
   * options. Default `'off'`. A bound token that is sent as a bearer token is 401 `invalid-token`, also where it is off; a bad proof
   * 401 `invalid-dpop-proof`.
   */
  dpop?: DpopMode | DpopOptions
  /**
   * Where the certificate is seen that a token may be bound to (RFC 8705 section 3). Default `'socket'`; or what a declared proxy writes into
   * `'Client-Cert'` (RFC 9440) or `'X-Forwarded-Client-Cert'`. Another certificate, or none: 401 `invalid-token`.
   */
  certificate?: CertificateSource
}

const KNOWN = [
  'issuer',
  'issuers',
  'audience',
  'jwksUri',
  'keys',
  'secret',
  'algorithms',
  'typ',
  ...TERMS,
  'maxTokenBytes',
  'maxStaleMs',
  'cacheEntries',
  'allowInsecureLoopback',
  'realm',
  'resource',
  'certificate',
]

export interface BearerRules extends TokenRules {
  readonly maxTokenBytes: number
  readonly maxStaleMs: number
  readonly allowInsecureLoopback: boolean
  readonly resource: string | undefined
  readonly dpop: DpopRules | undefined
  readonly certificate: CertificateSource
}

/** @throws ConfigError for every option that leaves open who may mint tokens, or for whom */
export function prepareRules(options: BearerOptions): BearerRules {
  knownKeys('bearer', options, KNOWN, [...PROTECTING, 'certificate'])
  const {
    maxTokenBytes = 8_192,
    maxStaleMs = 3_600_000,
    allowInsecureLoopback = false,
    certificate = 'socket',
  } = options
  const trust = { allowInsecureLoopback: boolean('bearer.allowInsecureLoopback', allowInsecureLoopback) }
  const resource = resourceUrl('bearer.resource', options.resource, trust)
  const issuers = prepareBearerIssuers(options, modeOf('bearer.dpop', options.dpop), {
    ...trust,
    maxStaleMs: integer('bearer.maxStaleMs', maxStaleMs, { min: 1_000 }),
  })
  const all = [...issuers.values()]
  return {
    ...trust,
    issuers,
    maxStaleMs,
    resource,
    certificate: certificateSource('bearer.certificate', certificate),
    dpop: prepareDpop(
      'bearer.dpop',
      options.dpop,
      { ...trust, resource },
      all.map(({ terms }) => terms.dpop),
    ),
    // Whose token it is stands behind the header: one that no issuer uses is refused at once, another one by its own issuer.
    reader: new TokenReader(new Set(all.flatMap(({ types }) => [...types]))),
    maxTokenBytes: integer('bearer.maxTokenBytes', maxTokenBytes, { min: 256, max: 65_536 }),
  }
}
