import { boolean, integer, knownKeys } from '../kernel/check.js'
import { clientAuth, type ClientAuth, type ClientOptions } from './client-auth.js'
import { certificateSource, type CertificateSource } from './client-certificate.js'
import { prepareDpop, type DpopMode, type DpopOptions, type DpopRules } from './dpop-options.js'
import { endpointUrl } from './endpoint.js'
import { checkAudience, checkDiscoverable, checkName } from './issuer-names.js'
import { resourceUrl } from './resource.js'
import { checkRevocation, type Revocation } from './revocation.js'

export interface IntrospectionOptions extends ClientOptions {
  /**
   * The exact name of the issuer, which is asked about tokens. Without `endpoint` also the URL under which its metadata is found. If
   * an answer has `iss`, it must be this: 401 `invalid-token`.
   */
  issuer: string
  /** Where the issuer answers (RFC 7662). Default: `introspection_endpoint` in its metadata (RFC 8414). */
  endpoint?: string
  /**
   * Who this API is in the `aud` of answers; one of several is enough. Required, because without it a token for any other API of the
   * same issuer would be accepted. Another `aud`, or none: 401 `invalid-token`.
   */
  audience: string | readonly string[]
  /**
   * How long an answer serves, in milliseconds, and never past the end of the token. Default 30,000: so long a revoked token is still
   * accepted. 0 asks each time.
   */
  cacheMs?: number
  /** How many answers are remembered, some 900 bytes each. Default 10,000. 0 asks each time. */
  cacheEntries?: number
  /** How many questions are open at the issuer at once; a hundred more wait. Default 16. Beyond: 503 `identity-provider-unavailable`. */
  maxCalls?: number
  /** How long one answer may take, and how long a question may wait for its turn, in milliseconds. Default 1,000. Later: 503. */
  timeoutMs?: number
  /** Longest accepted time from `iat` to `exp`, in seconds. Default 86,400, a day. Longer, or without either: 401 `invalid-token`. */
  maxLifetimeSeconds?: number
  /**
   * The same for tokens that are bound to a key of the client, of which a thief has no use. Default: `maxLifetimeSeconds`. Longer: 401
   * `invalid-token`.
   */
  maxBoundLifetimeSeconds?: number
  /** How far the clocks of issuer and API may differ, in seconds, for `exp`, `nbf` and `iat`. Default 60, at most 300. */
  clockToleranceSeconds?: number
  /** Longest accepted token, in bytes. Default 8,192. Longer: 401 `invalid-token`, and nobody is asked. */
  maxTokenBytes?: number
  /**
   * What was revoked, as `revocations({ store })` keeps it: read for each token, by one question. Default: none, and only
   * the issuer is asked. Revoked, itself or with its session or subject: 401 `invalid-token`. The store is away: 503 `store-unavailable`.
   */
  revocation?: Revocation
  /** Accepts http for metadata and endpoint on this machine, for development. Default false: only https. */
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
  'endpoint',
  'audience',
  'clientId',
  'clientSecret',
  'privateKey',
  'cacheMs',
  'cacheEntries',
  'maxCalls',
  'timeoutMs',
  'maxLifetimeSeconds',
  'maxBoundLifetimeSeconds',
  'clockToleranceSeconds',
  'maxTokenBytes',
  'revocation',
  'allowInsecureLoopback',
  'realm',
  'resource',
  'dpop',
  'certificate',
  'certificateBound',
]

/** The same, checked. */
export interface IntrospectionRules {
  readonly issuer: string
  readonly endpoint: string | undefined
  readonly audiences: readonly string[]
  readonly prove: ClientAuth
  readonly cacheMs: number
  readonly cacheEntries: number
  readonly maxCalls: number
  readonly timeoutMs: number
  readonly maxLifetimeSeconds: number
  readonly maxBoundLifetimeSeconds: number
  readonly clockToleranceSeconds: number
  readonly maxTokenBytes: number
  readonly revocation: Revocation | undefined
  readonly allowInsecureLoopback: boolean
  readonly resource: string | undefined
  readonly dpop: DpopRules | undefined
  readonly certificate: CertificateSource
  readonly certificateBound: boolean
}

/** @throws ConfigError for every option that leaves open whose tokens are accepted, or for whom */
export function prepareIntrospection(options: IntrospectionOptions): IntrospectionRules {
  knownKeys('introspection', options, KNOWN, [
    'endpoint',
    'clientSecret',
    'privateKey',
    'revocation',
    'dpop',
    'certificate',
    'certificateBound',
  ])
  const { issuer, endpoint, allowInsecureLoopback = false } = options
  const { certificate = 'socket', certificateBound = false } = options
  const trust = {
    allowInsecureLoopback: boolean('introspection.allowInsecureLoopback', allowInsecureLoopback),
  }
  checkName('introspection.issuer', issuer)
  if (endpoint === undefined) checkDiscoverable('introspection.issuer', issuer, trust)
  else endpointUrl('introspection.endpoint', endpoint, trust)

  const resource = resourceUrl('introspection.resource', options.resource, trust)
  const whole = (name: keyof IntrospectionOptions, usual: number, bounds?: { min?: number; max?: number }) =>
    integer(`introspection.${name}`, options[name] === undefined ? usual : options[name], bounds)
  return {
    ...trust,
    resource,
    certificate: certificateSource('introspection.certificate', certificate),
    certificateBound: boolean('introspection.certificateBound', certificateBound),
    dpop: prepareDpop('introspection.dpop', options.dpop, { ...trust, resource }),
    issuer,
    endpoint,
    audiences: checkAudience('introspection.audience', options.audience),
    revocation: checkRevocation('introspection.revocation', options.revocation),
    prove: clientAuth('introspection', issuer, options),
    cacheMs: whole('cacheMs', 30_000, { min: 0, max: 3_600_000 }),
    cacheEntries: whole('cacheEntries', 10_000, { min: 0 }),
    maxCalls: whole('maxCalls', 16, { max: 1_000 }),
    timeoutMs: whole('timeoutMs', 1_000, { max: 60_000 }),
    maxLifetimeSeconds: whole('maxLifetimeSeconds', 86_400),
    maxBoundLifetimeSeconds: whole('maxBoundLifetimeSeconds', options.maxLifetimeSeconds ?? 86_400),
    clockToleranceSeconds: whole('clockToleranceSeconds', 60, { min: 0, max: 300 }),
    maxTokenBytes: whole('maxTokenBytes', 8_192, { min: 16, max: 65_536 }),
  }
}
