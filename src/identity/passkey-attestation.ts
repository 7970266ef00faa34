import { loadPeer } from '../kernel/peer.js'
import { decodeBase64url } from '../lib/base64url.js'
import { certificateOf } from './der-certificate.js'

/** What of `@simplewebauthn/server` is used here. */
type Package = Pick<typeof import('@simplewebauthn/server'), 'SettingsService'>
type Helpers = Pick<typeof import('@simplewebauthn/server/helpers'), 'decodeAttestationObject'>

/** Those that somebody still makes: the service behind `android-safetynet` is gone, and its chains end at a public authority. */
const FORMATS = ['none', 'packed', 'tpm', 'android-key', 'apple', 'fido-u2f']
const MAX_CERTIFICATES = 10

/**
 * Looks at what a client says about its authenticator before the package verifies it: that one fetches the revocation lists
 * which certificates name, also where the client made the root and all below it itself. Whoever may register a passkey
 * could have this server ask any address.
 */
export class AttestationGate {
  private readonly helpers = loadPeer('@simplewebauthn/server/helpers', 'webauthn()') as Helpers

  /** @param isAsked whether attestation was asked for; browsers take it away otherwise */
  constructor(
    private readonly webauthn: Package,
    private readonly isAsked: boolean,
  ) {}

  /**
   * Whether a statement may be verified.
   *
   * @throws Error for what is no attestation object
   */
  admits(attestationObject: unknown): boolean {
    // One spelling, so that the package reads the same bytes.
    const bytes = typeof attestationObject === 'string' ? decodeBase64url(attestationObject) : undefined
    if (bytes === undefined) return false
    const decoded = this.helpers.decodeAttestationObject(new Uint8Array(bytes))
    const format: string = decoded.get('fmt')
    const chain: unknown = decoded.get('attStmt').get('x5c')
    // W3C WebAuthn section 5.1.3: where nobody asked, there is no statement, or one of the passkey about itself.
    if (!this.isAsked) return format === 'none' || (format === 'packed' && chain === undefined)
    if (!FORMATS.includes(format)) return false
    return chain === undefined || this.isSound(format, chain)
  }

  private isSound(format: string, chain: unknown): boolean {
    if (!Array.isArray(chain) || chain.length === 0 || chain.length > MAX_CERTIFICATES) return false
    const certificates = chain.map((one: unknown) =>
      one instanceof Uint8Array ? certificateOf(one) : undefined,
    )
    // A key that was attested must not attest others, and the package does not ask.
    if (!certificates.every((one, i) => one !== undefined && (i === 0 || one.ca))) return false
    // For this format the root comes along, and the package looks last whether it knows it.
    return format !== 'android-key' || this.isRoot(certificates.at(-1)!.raw)
  }

  private isRoot(der: Buffer): boolean {
    const roots = this.webauthn.SettingsService.getRootCertificates({ identifier: 'android-key' })
    return roots.some((pem) => Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64').equals(der))
  }
}
