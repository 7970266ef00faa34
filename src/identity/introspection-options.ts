import { boolean, integer, knownKeys } from '../kernel/check.js'
import { certificateSource, type CertificateSource } from './client-certificate.js'
import { modeOf, prepareDpop, type DpopMode, type DpopOptions, type DpopRules } from './dpop-options.js'
import {
  ASKING,
  OF_ONE,
  prepareIntrospectionIssuers,
  type IntrospectionIssuer,
  type IntrospectionIssuerOptions,
} from './introspection-issuers.js'
import { PROTECTING, TERMS } from './issuer-terms.js'
import { resourceUrl } from './resource.js'
import type { Revocation } from './revocation.js'

export interface IntrospectionOptions extends Partial<
  Omit<IntrospectionIssuerOptions, 'prefix' | 'revocation' | 'dpop'>
> {
  /**
   * The exact name of the issuer, which is asked about all tokens. Without `endpoint` also the URL under which its metadata is found. If
   * an answer has `iss`, it must be this: 401 `invalid-token`. Required, unless `issuers` is there.
   */
  issuer?: string
  /**
   * Instead of `issuer`: several issuers, each known by its tokens (`prefix`, or the `iss` of a JWT) and asked about no others, with settings
   * of its own; what one leaves out is as it stands beside the list. Required, unless `issuer` is there. A token of none of them: 401
   * `invalid-token`, and nobody is asked.
   */
  issuers?: readonly IntrospectionIssuerOptions[]
  /**
   * Asks several issuers without a `prefix` in turn, until one knows the token: those before it have seen it then, and could use it in the
   * place of its owner. Default false, and more than one without a `prefix` is a `ConfigError`.
   */
  dangerouslyShowTokensToOthers?: boolean
  /** How many answers are remembered, some 900 bytes each. Default 10,000. 0 asks each time. */
  cacheEntries?: number
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
}

const KNOWN = [
  'issuer',
  'issuers',
  'audience',
  'dangerouslyShowTokensToOthers',
  ...OF_ONE,
  ...ASKING,
  ...TERMS,
  'cacheEntries',
  'maxTokenBytes',
  'allowInsecureLoopback',
  'realm',
  'resource',
  'certificate',
]

/** The same, checked. */
export interface IntrospectionRules {
  readonly issuers: readonly IntrospectionIssuer[]
  /** Whether the one issuer is asked about every token, whoever it says it is from. */
  readonly knowsAll: boolean
  readonly shown: boolean
  readonly cacheEntries: number
  readonly maxTokenBytes: number
  readonly allowInsecureLoopback: boolean
  readonly resource: string | undefined
  readonly dpop: DpopRules | undefined
  readonly certificate: CertificateSource
}

/** @throws ConfigError for every option that leaves open whose tokens are accepted, or for whom */
export function prepareIntrospection(options: IntrospectionOptions): IntrospectionRules {
  knownKeys('introspection', options, KNOWN, [
    'endpoint',
    'clientSecret',
    'privateKey',
    'certificate',
    ...PROTECTING,
  ])
  const {
    allowInsecureLoopback = false,
    certificate = 'socket',
    dangerouslyShowTokensToOthers = false,
  } = options
  const { cacheEntries = 10_000, maxTokenBytes = 8_192 } = options
  const trust = {
    allowInsecureLoopback: boolean('introspection.allowInsecureLoopback', allowInsecureLoopback),
  }
  const resource = resourceUrl('introspection.resource', options.resource, trust)
  const shown = boolean('introspection.dangerouslyShowTokensToOthers', dangerouslyShowTokensToOthers)
  const issuers = prepareIntrospectionIssuers(options, modeOf('introspection.dpop', options.dpop), trust)
  return {
    ...trust,
    issuers,
    knowsAll: options.issuers === undefined,
    shown,
    resource,
    certificate: certificateSource('introspection.certificate', certificate),
    dpop: prepareDpop(
      'introspection.dpop',
      options.dpop,
      { ...trust, resource },
      issuers.map(({ terms }) => terms.dpop),
    ),
    cacheEntries: integer('introspection.cacheEntries', cacheEntries, { min: 0 }),
    maxTokenBytes: integer('introspection.maxTokenBytes', maxTokenBytes, { min: 16, max: 65_536 }),
  }
}
