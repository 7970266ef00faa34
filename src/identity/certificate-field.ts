/** Fields in which proxies say which certificate their client has shown. */
export type CertificateField = 'Client-Cert' | 'X-Forwarded-Client-Cert'

const MAX_LENGTH = 16_384

/** The certificate in a field, as DER. `undefined` for what is malformed. */
export function certificateIn(field: CertificateField, value: string): Buffer | undefined {
  if (value.length > MAX_LENGTH) return undefined
  return field === 'Client-Cert' ? byteSequence(value) : envoyCertificate(value)
}

/** RFC 9440 section 2.1 and RFC 9651 section 3.3.5: base64 between colons, and no parameters. */
function byteSequence(value: string): Buffer | undefined {
  const base64 = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(value)?.[1]
  return base64 === undefined ? undefined : decoded(base64)
}

function decoded(base64: string): Buffer | undefined {
  const bytes = Buffer.from(base64, 'base64')
  return bytes.toString('base64') === base64 ? bytes : undefined
}

/** `Key=value;Key="quoted value"`, in elements: whoever appends, as the nearest proxy does, writes the last one. */
const PAIR = /([A-Za-z]{1,32})=(?:"((?:[^"\\]|\\.)*)"|([^",;\\]*))([,;]|$)/y

const PEM = /^-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*$/

function envoyCertificate(value: string): Buffer | undefined {
  let certificates: string[] = []
  let isNamed = false
  PAIR.lastIndex = 0
  for (;;) {
    const [all, key, quoted, bare, end] = (PAIR.exec(value) ?? []) as (string | undefined)[]
    if (all === undefined) return undefined
    const name = key!.toLowerCase()
    // Envoy writes these as they stand in the certificate: whoever chose them may have written what follows.
    if ((name === 'uri' || name === 'dns') && bare !== undefined) isNamed = true
    if (name === 'cert') {
      if (isNamed) return undefined
      certificates.push(quoted ?? bare!)
    }
    if (end === '') break
    if (end === ',') certificates = []
  }
  const [escaped, another] = certificates
  if (escaped === undefined || another !== undefined) return undefined
  try {
    const base64 = PEM.exec(decodeURIComponent(escaped))?.[1]
    return base64 === undefined ? undefined : decoded(base64.replace(/\s/g, ''))
  } catch {
    return undefined
  }
}
