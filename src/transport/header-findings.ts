import type { Finding } from '../kernel/stage.js'

const YEAR_SECONDS = 31_536_000

/** Which of the header fields that ASVS 3.4 asks for are missing or weak. */
export function headerFindings(
  set: ReadonlyMap<string, string>,
  noStore: 'authenticated' | 'always' | false,
): Finding[] {
  const findings: Finding[] = []
  const found = (severity: Finding['severity'], code: string, cause: string, fix: string) =>
    findings.push({ code, severity, cause, fix })

  const hsts = set.get('Strict-Transport-Security')
  if (hsts === undefined) {
    found(
      'medium',
      'hsts-off',
      'headers sends no Strict-Transport-Security, so a first plain request can be intercepted (ASVS 3.4.1).',
      'Leave helmet.strictTransportSecurity on, unless a proxy in front adds it.',
    )
  } else if (Number(/^max-age=([0-9]+)/.exec(hsts)?.[1]) < YEAR_SECONDS) {
    found(
      'low',
      'hsts-short',
      'headers sends Strict-Transport-Security for less than a year (ASVS 3.4.1).',
      `Set helmet.strictTransportSecurity.maxAge to at least ${YEAR_SECONDS} seconds.`,
    )
  }

  const policy = set.get('Content-Security-Policy')
  if (policy === undefined) {
    found(
      'medium',
      'csp-off',
      'headers enforces no Content-Security-Policy (ASVS 3.4.3).',
      'Leave helmet.contentSecurityPolicy on, and without reportOnly.',
    )
  } else if (!policy.split(';').some((directive) => directive.startsWith('frame-ancestors '))) {
    found(
      'medium',
      'csp-frame-ancestors-missing',
      'The Content-Security-Policy does not say who may frame a reply (ASVS 3.4.6).',
      'Add frame-ancestors to helmet.contentSecurityPolicy.directives, such as ["\'none\'"].',
    )
  }

  if (!set.has('X-Content-Type-Options')) {
    found(
      'medium',
      'nosniff-off',
      'headers sends no X-Content-Type-Options, so browsers may take data for a script or a page (ASVS 3.4.4).',
      'Leave helmet.xContentTypeOptions on.',
    )
  }

  const referrer = set.get('Referrer-Policy')
  if (referrer === undefined || referrer.includes('unsafe-url')) {
    found(
      'low',
      'referrer-policy-weak',
      'Nothing keeps browsers from telling other sites the full URL of a reply (ASVS 3.4.5).',
      "Leave helmet.referrerPolicy on, and do not use 'unsafe-url'.",
    )
  }

  if (noStore === false) {
    found(
      'medium',
      'no-store-off',
      'headers lets caches keep the replies of known callers (ASVS 14.3.2).',
      "Set headers.noStore to 'authenticated', and Cache-Control in handlers whose replies may be kept.",
    )
  }
  return findings
}
