import { X509Certificate } from 'node:crypto'

/**
 * The certificate that these bytes are (DER), and no other one; `undefined` for what is none. Node looks for a PEM text first, and
 * takes one that stands within a certificate, in a name or a comment, in place of the whole: whoever may write there would
 * be whomever they like.
 */
export function certificateOf(der: Uint8Array): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(der)
    return certificate.raw.equals(der) ? certificate : undefined
  } catch {
    return undefined
  }
}
