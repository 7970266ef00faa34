import { hash, type X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { oneOf } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { SecurityContext } from '../kernel/context.js'
import { mayLackFields } from '../kernel/dropped-fields.js'
import { fieldCount } from '../kernel/field-count.js'
import type { Services } from '../kernel/services.js'
import { Generations } from '../lib/generations.js'
import { certificateIn, type CertificateField } from './certificate-field.js'
import { certificateOf } from './der-certificate.js'

/**
 * Where the client's certificate is seen: on the TLS connection of this process, or in the field in which a declared proxy says what
 * it saw on its own: `Client-Cert` (RFC 9440), or `X-Forwarded-Client-Cert` as Envoy writes it, with `Cert`.
 */
export type CertificateSource = 'socket' | CertificateField

/** A certificate whose key the client has, as TLS has proven here or at the proxy. */
export interface ShownCertificate {
  readonly certificate: X509Certificate
  /** Its thumbprint (RFC 8705 section 3.1). */
  readonly x5t: string
  /** Whether the TLS of this process trusts it; `undefined` if that was the business of a proxy. */
  readonly authorized: boolean | undefined
}

export type ShownOutcome = ShownCertificate | 'none' | 'certificate-twice' | 'certificate-malformed'

const SOURCES = ['socket', 'Client-Cert', 'X-Forwarded-Client-Cert'] as const
/** So many certificates that proxies tell of need not be read again. */
const REMEMBERED = 1_000

/** @throws ConfigError unless it is one */
export function certificateSource(option: string, source: unknown): CertificateSource {
  return oneOf(option, source, SOURCES)
}

/** Reads the client's certificate from one place, and from nowhere else. */
export class CertificateReader {
  private readonly bySocket = new WeakMap<object, ShownCertificate>()
  private readonly byText = new Generations<string, ShownCertificate>(REMEMBERED)
  private readonly field: string | undefined

  constructor(private readonly source: CertificateSource) {
    this.field = source === 'socket' ? undefined : source.toLowerCase()
  }

  /** @throws ConfigError where a proxy is believed that nobody declared */
  check({ fromProxy }: Services): void {
    if (this.field === undefined || fromProxy !== undefined) return
    throw new ConfigError(
      `${this.source} is only believed if a declared proxy wrote it, and trustProxy is not set; write the number of proxies, or their ` +
        'CIDR ranges',
      'undeclared-proxy',
    )
  }

  read(ctx: SecurityContext): ShownOutcome {
    const { req, services } = ctx
    if (this.field === undefined) return this.onSocket(req) ?? 'none'
    this.check(services)
    const sent = req.headers[this.field]
    // Whoever connects directly could write anything into it; and of too many fields the proxy's own may be missing.
    if (typeof sent !== 'string' || !services.fromProxy!(req) || mayLackFields(req)) return 'none'
    if (fieldCount(req, this.field) > 1) return 'certificate-twice'
    return this.inField(sent)
  }

  private onSocket({ socket }: IncomingMessage): ShownCertificate | undefined {
    const known = this.bySocket.get(socket)
    if (known !== undefined) return known
    const tls = socket as Partial<TLSSocket>
    const certificate = tls.getPeerX509Certificate?.()
    if (certificate === undefined) return undefined
    const shown = shownCertificate(certificate, isTrusted(tls))
    this.bySocket.set(socket, shown)
    return shown
  }

  private inField(sent: string): ShownOutcome {
    const digest = hash('sha256', sent, 'base64')
    const known = this.byText.get(digest)
    if (known !== undefined) return known
    const bytes = certificateIn(this.source as CertificateField, sent)
    const certificate = bytes && certificateOf(bytes)
    if (certificate === undefined) return 'certificate-malformed'
    const shown = shownCertificate(certificate, undefined)
    this.byText.set(digest, shown)
    return shown
  }
}

/** Whoever renegotiates (TLS 1.2) may show another certificate. Node then says what is wrong with it, and leaves `authorized` as it was. */
function isTrusted({ authorized, authorizationError }: Partial<TLSSocket>): boolean {
  return authorized === true && !(authorizationError as unknown)
}

function shownCertificate(certificate: X509Certificate, authorized: boolean | undefined): ShownCertificate {
  return { certificate, x5t: hash('sha256', certificate.raw, 'base64url'), authorized }
}
