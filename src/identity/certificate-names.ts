import type { X509Certificate } from 'node:crypto'

/** What of a certificate names its holder (RFC 8705 section 2.1.2). */
export type CertificateName = 'subject' | 'dns' | 'uri' | 'email'

/** How Node calls what is in `subjectAltName`. */
const KINDS = { dns: 'DNS', uri: 'URI', email: 'email' } as const
/** Node writes what could be misread as a JSON string. */
const ENTRY = /([A-Za-z ]{1,64}):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y

/** The name of a certificate's holder; `undefined` if it has none of that kind, or more than one. */
export function nameIn(certificate: X509Certificate, kind: CertificateName): string | undefined {
  if (kind === 'subject') return distinguishedName(certificate.subject)
  const names = alternativeNames(certificate.subjectAltName, KINDS[kind])
  return names?.length === 1 && names[0] !== '' ? names[0] : undefined
}

/**
 * As text (RFC 4514): Node gives a line for each part, the outermost first, and has escaped what is special. Whoever is named by
 * `subjectAltName` alone has none, and Node says so by `undefined`, which its types do not know.
 */
export function distinguishedName(lines: string | undefined): string | undefined {
  return lines === '' || lines === undefined
    ? undefined
    : lines.split('\n').reverse().join(',').replaceAll(' + ', '+')
}

function alternativeNames(text: string | undefined, kind: string): string[] | undefined {
  const names: string[] = []
  ENTRY.lastIndex = 0
  while (text !== undefined && ENTRY.lastIndex < text.length) {
    const [, name, value] = (ENTRY.exec(text) ?? []) as (string | undefined)[]
    if (value === undefined) return undefined
    if (name === kind) names.push(value.startsWith('"') ? (JSON.parse(value) as string) : value)
  }
  return names
}
