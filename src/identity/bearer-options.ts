import { boolean, integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { certificateSource, type CertificateSource } from './client-certificate.js'
import { prepareDpop, type DpopMode, type DpopOptions, type DpopRules } from './dpop-options.js'
import { prepareIssuer, type Issuer, type IssuerOptions } from './issuers.js'
import { resourceUrl } from './resource.js'
import { checkRevocation, type Revocation } from './revocation.js'
import { mediaType, TokenReader } from './token.js'
import type { TokenRules } from './verify.js'

export interface BearerOptions extends Partial<Omit<IssuerOptions, 'issuer'>> {
  /**
   * The exact `iss` of accepted tokens, one or several; their keys are found by discovery. The options `jwksUri`, `keys`
   * and `secret` beside it say otherwise for a single issuer. Required, unless `issuers` is there. Another `iss`: 401 `invalid-token`.
   */
  issuer?: string | readonly string[]
  /** Instead of `issuer`: several issuers, each with its own keys, audience and algorithms. Required, unless `issuer` is there. */
  issuers?: readonly IssuerOptions[]
  /**
   * Who this API is in the `aud` of its tokens; one of several is enough. Required, because without it a token for any other API of
   * the same issuer would be accepted. Another `aud`: 401 `invalid-token` (RFC 9068 section 4).
   */
  audience?: string | readonly string[]
  /**
   * Accepted values of `typ`, without `application/`. Default `'at+jwt'` (RFC 9068 section 2.1), so that no ID token passes for an
   * access token. `false` also accepts `JWT` and none, for issuers that do not follow RFC 9068. Another `typ`: 401 `invalid-token`.
   */
  typ?: string | readonly string[] | false
  /** Longest accepted time from `iat` to `exp`, in seconds. Default 86,400, a day. Longer: 401 `invalid-token`. */
  maxLifetimeSeconds?: number
  /**
   * The same for tokens that are bound to a key of the client, of which a thief has no use. Default: `maxLifetimeSeconds`. Longer: 401
   * `invalid-token`.
   */
  maxBoundLifetimeSeconds?: number
  /** How far the clocks of issuer and API may differ, in seconds, for `exp`, `nbf` and `iat`. Default 60, at most 300. */
  clockToleranceSeconds?: number
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
  /** Accepts only tokens that are bound to a client certificate (RFC 8705). Default false. Others: 401 `invalid-token`. */
  certificateBound?: boolean
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
  'maxLifetimeSeconds',
  'maxBoundLifetimeSeconds',
  'clockToleranceSeconds',
  'maxTokenBytes',
  'maxStaleMs',
  'cacheEntries',
  'revocation',
  'allowInsecureLoopback',
  'realm',
  'resource',
  'dpop',
  'certificate',
  'certificateBound',
]

export interface BearerRules extends TokenRules {
  /** Accepted media types of `typ`; `undefined` among them: it may be missing. */
  readonly types: ReadonlySet<string | undefined>
  readonly revocation: Revocation | undefined
  readonly maxTokenBytes: number
  readonly maxStaleMs: number
  readonly allowInsecureLoopback: boolean
  readonly resource: string | undefined
  readonly dpop: DpopRules | undefined
  readonly certificate: CertificateSource
  readonly certificateBound: boolean
}

/** @throws ConfigError for every option that leaves open who may mint tokens, or for whom */
export function prepareRules(options: BearerOptions): BearerRules {
  knownKeys('bearer', options, KNOWN, ['revocation', 'dpop', 'certificate', 'certificateBound'])
  const {
    typ = 'at+jwt',
    maxLifetimeSeconds = 86_400,
    maxBoundLifetimeSeconds = maxLifetimeSeconds,
    clockToleranceSeconds = 60,
    maxTokenBytes = 8_192,
    maxStaleMs = 3_600_000,
    allowInsecureLoopback = false,
    certificate = 'socket',
    certificateBound = false,
  } = options
  boolean('bearer.allowInsecureLoopback', allowInsecureLoopback)
  const types = acceptedTypes(typ)
  const resource = resourceUrl('bearer.resource', options.resource, { allowInsecureLoopback })
  return {
    maxStaleMs: integer('bearer.maxStaleMs', maxStaleMs, { min: 1_000 }),
    issuers: prepareIssuers(options, { maxStaleMs, allowInsecureLoopback }),
    revocation: checkRevocation('bearer.revocation', options.revocation),
    allowInsecureLoopback,
    resource,
    certificate: certificateSource('bearer.certificate', certificate),
    certificateBound: boolean('bearer.certificateBound', certificateBound),
    dpop: prepareDpop('bearer.dpop', options.dpop, { allowInsecureLoopback, resource }),
    types,
    reader: new TokenReader(types),
    maxLifetimeSeconds: integer('bearer.maxLifetimeSeconds', maxLifetimeSeconds),
    maxBoundLifetimeSeconds: integer('bearer.maxBoundLifetimeSeconds', maxBoundLifetimeSeconds),
    clockToleranceSeconds: integer('bearer.clockToleranceSeconds', clockToleranceSeconds, {
      min: 0,
      max: 300,
    }),
    maxTokenBytes: integer('bearer.maxTokenBytes', maxTokenBytes, { min: 256, max: 65_536 }),
  }
}

function prepareIssuers(
  { issuer, issuers, audience, jwksUri, keys, secret, algorithms }: BearerOptions,
  rules: { maxStaleMs: number; allowInsecureLoopback: boolean },
): ReadonlyMap<string, Issuer> {
  if ((issuer === undefined) === (issuers === undefined)) {
    throw new ConfigError(
      "bearer needs one of `issuer: 'https://id.example.com'` and `issuers: [{ issuer, ... }]`: whose tokens are accepted",
      'issuer-required',
    )
  }
  const own = {
    ...(jwksUri !== undefined && { jwksUri }),
    ...(keys !== undefined && { keys }),
    ...(secret !== undefined && { secret }),
  }
  const names: readonly string[] = Array.isArray(issuer) ? issuer : typeof issuer === 'string' ? [issuer] : []
  if (Object.keys(own).length > 0 && (issuers !== undefined || names.length !== 1)) {
    throw new ConfigError(
      `bearer.${Object.keys(own)[0]!} beside several issuers would let each of them speak for the others; write \`issuers: [{ issuer, ${Object.keys(own)[0]!} }]\``,
    )
  }

  const given = issuers ?? names.map((name) => ({ issuer: name, ...own }))
  if (!Array.isArray(given) || given.length === 0) {
    throw new ConfigError(
      `bearer.${issuers === undefined ? 'issuer' : 'issuers'} must name at least one issuer`,
    )
  }
  const map = new Map<string, Issuer>()
  given.forEach((one: IssuerOptions, index) => {
    const option = issuers !== undefined ? `bearer.issuers[${index}]` : 'bearer'
    knownKeys(option, one, ['issuer', 'audience', 'jwksUri', 'keys', 'secret', 'algorithms'])
    const prepared = prepareIssuer(
      option,
      { ...(algorithms !== undefined && { algorithms }), ...one },
      { audience, ...rules },
    )
    if (map.has(prepared.name)) throw new ConfigError(`${option}.issuer is listed twice; keep one`)
    map.set(prepared.name, prepared)
  })
  return map
}

/** `undefined` among the types: `typ` may be missing. */
function acceptedTypes(typ: unknown): ReadonlySet<string | undefined> {
  if (typ === false) return new Set(['at+jwt', 'jwt', undefined])
  const list: unknown[] = Array.isArray(typ) ? typ : [typ]
  if (list.length > 0 && list.every((one) => typeof one === 'string' && one !== '')) {
    return new Set(list.map(mediaType))
  }
  throw new ConfigError(
    `bearer.typ must be a media type such as 'at+jwt', a list of them, or false, got ${show(typ)}`,
  )
}
