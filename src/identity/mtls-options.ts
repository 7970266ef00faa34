import type { X509Certificate } from 'node:crypto'
import { func, integer, knownKeys, oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { authorities, type CertificateAuthority } from './certificate-authorities.js'
import type { CertificateName } from './certificate-names.js'
import { certificateSource, type CertificateSource } from './client-certificate.js'

export interface MtlsOptions {
  /**
   * The authorities that issue certificates to clients, and no others: the one that signs them itself is listed, not only its root. PEM
   * texts or `X509Certificate`s. Required, because TLS may trust all public authorities. Others: 401 `invalid-certificate`.
   */
  ca: CertificateAuthority | readonly CertificateAuthority[]
  /**
   * Where the certificate is seen. Default `'socket'`. `'Client-Cert'` (RFC 9440) and `'X-Forwarded-Client-Cert'` are believed if a
   * proxy wrote them that `trustProxy` declares, and ignored otherwise.
   */
  certificate?: CertificateSource
  /**
   * What names the caller: the distinguished name, or the one `subjectAltName` of a kind (RFC 8705 section 2.1.2). Default `'subject'`. None of
   * it, or several: 401 `invalid-certificate`.
   */
  identity?: CertificateName
  /** Names of callers that are known. Default: all whom the authorities know. Others: 401 `invalid-certificate`. */
  allow?: readonly string[]
  /** What a certificate says about its holder besides, such as roles: becomes claims of the principal. Must answer at once. Default: nothing. */
  claims?: (certificate: X509Certificate) => Readonly<Record<string, unknown>>
  /** How many certificates that were verified are remembered. Default 1,000. 0 verifies each every time. */
  cacheEntries?: number
  /** The `realm` of challenges. Default `'api'`. */
  realm?: string
}

/** The same, checked. */
export interface MtlsRules {
  readonly trusted: readonly X509Certificate[]
  readonly source: CertificateSource
  readonly identity: CertificateName
  readonly allowed: ReadonlySet<string> | undefined
  readonly claims: MtlsOptions['claims']
  readonly cacheEntries: number
}

const KNOWN = ['ca', 'certificate', 'identity', 'allow', 'claims', 'cacheEntries', 'realm']
const NAMES = ['subject', 'dns', 'uri', 'email'] as const

/** @throws ConfigError for every option that leaves open who is known */
export function prepareMtls(options: MtlsOptions): MtlsRules {
  knownKeys('mtls', options, KNOWN, ['ca', 'allow', 'certificate', 'identity'])
  const { certificate = 'socket', identity = 'subject', allow, claims, cacheEntries = 1_000 } = options
  return {
    trusted: authorities('mtls.ca', options.ca),
    source: certificateSource('mtls.certificate', certificate),
    identity: oneOf('mtls.identity', identity, NAMES),
    allowed: allow === undefined ? undefined : allowList(allow),
    claims: claims === undefined ? undefined : func('mtls.claims', claims),
    cacheEntries: integer('mtls.cacheEntries', cacheEntries, { min: 0 }),
  }
}

function allowList(given: unknown): ReadonlySet<string> {
  const isList = Array.isArray(given) && given.length > 0
  if (isList && given.every((name) => typeof name === 'string' && name !== ''))
    return new Set(given as string[])
  throw new ConfigError(`mtls.allow must list at least one name of a caller, got ${show(given)}`)
}
