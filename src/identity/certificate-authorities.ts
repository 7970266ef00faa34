import { X509Certificate, type KeyObject } from 'node:crypto'
import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { distinguishedName } from './certificate-names.js'

/** A certificate of an authority: the text of a PEM file, which may have several, or an `X509Certificate`. */
export type CertificateAuthority = string | X509Certificate

/** Why a certificate is not trusted: the rule in the audit log. */
export type Distrust = 'certificate-untrusted' | 'certificate-purpose' | 'certificate-key'

/** RFC 5280 section 4.2.1.12: for clients, or for anything. */
const CLIENT_PURPOSES = ['1.3.6.1.5.5.7.3.2', '2.5.29.37.0']
/** NIST SP 800-57: both are of 112 bits of security. The names of curves say how long they are. */
const MIN_RSA_BITS = 2048
const MIN_CURVE_BITS = 224
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** @throws ConfigError for what is no certificate of an authority */
export function authorities(option: string, given: unknown): readonly X509Certificate[] {
  const list: unknown[] = Array.isArray(given) ? given : [given]
  const found = list.flatMap((one) => certificatesIn(option, one))
  if (found.length === 0) {
    throw new ConfigError(
      `${option} must have the certificates of the authorities whose clients are known, got ${show(given)}`,
    )
  }
  if (found.every(({ ca }) => ca)) return found
  throw new ConfigError(
    `${option} has a certificate that is not of an authority (basicConstraints CA:TRUE); give the one that issues them`,
  )
}

function certificatesIn(option: string, given: unknown): X509Certificate[] {
  if (given instanceof X509Certificate) return [given]
  const texts = typeof given === 'string' ? (given.match(PEM) ?? []) : []
  if (texts.length === 0) {
    throw new ConfigError(`${option} must be PEM texts or X509Certificates, got ${show(given)}`)
  }
  try {
    return texts.map((text) => new X509Certificate(text))
  } catch {
    throw new ConfigError(`${option} has a certificate that cannot be read`)
  }
}

/**
 * The authority that issued a certificate for a client (ASVS 12.1.3), or why it is not trusted, apart from the time. Several, where
 * an authority is listed with its old certificate and its new one.
 */
export function issuersOf(
  certificate: X509Certificate,
  trusted: readonly X509Certificate[],
): readonly X509Certificate[] | Distrust {
  const issuers = trusted.filter((one) => certificate.checkIssued(one) && certificate.verify(one.publicKey))
  if (issuers.length === 0) return 'certificate-untrusted'
  // Types say it is always there; certificates without extended key usage have none.
  const purposes = certificate.keyUsage as string[] | undefined
  if (certificate.ca || (purposes !== undefined && !purposes.some((one) => CLIENT_PURPOSES.includes(one)))) {
    return 'certificate-purpose'
  }
  return isShort(certificate.publicKey) ? 'certificate-key' : issuers
}

function isShort({ asymmetricKeyDetails }: KeyObject): boolean {
  const { modulusLength = MIN_RSA_BITS, namedCurve = '' } = asymmetricKeyDetails ?? {}
  return modulusLength < MIN_RSA_BITS || Number(/[0-9]{3}/.exec(namedCurve)?.[0] ?? Infinity) < MIN_CURVE_BITS
}

/** Authorities of one name with different keys: their callers have one issuer. */
export function alike(authorities: readonly X509Certificate[]): string[] {
  const names = authorities
    .filter((one) =>
      authorities.some(
        ({ subject, publicKey }) => subject === one.subject && !publicKey.equals(one.publicKey),
      ),
    )
    .map(({ subject }) => distinguishedName(subject) ?? '')
  return [...new Set(names)]
}
