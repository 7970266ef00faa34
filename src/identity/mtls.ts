import type { X509Certificate } from 'node:crypto'
import { ambientProof } from '../kernel/ambient.js'
import { challenges } from '../kernel/challenges.js'
import type { Principal, SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import { refuse, type Problem } from '../kernel/problem.js'
import type { Finding } from '../kernel/stage.js'
import { challenge, extendChallenge } from '../lib/challenge.js'
import { deepFreeze } from '../lib/deep-freeze.js'
import { Generations } from '../lib/generations.js'
import { isStrayPromise } from '../lib/when.js'
import { alike, issuersOf, type Distrust } from './certificate-authorities.js'
import { distinguishedName, nameIn } from './certificate-names.js'
import { CertificateReader, type ShownCertificate } from './client-certificate.js'
import type { Method } from './method.js'
import { prepareMtls, type MtlsOptions, type MtlsRules } from './mtls-options.js'
import { realmText } from './realm.js'
import { forwardedFinding } from './token-findings.js'

export type { MtlsOptions } from './mtls-options.js'

/**
 * Why a certificate is refused: the rule in the audit log, and its reason. To the client they are all one: who has a certificate of
 * another authority learns no more.
 */
const faults = {
  'certificate-malformed': 'The proxy did not say in a known form which certificate it has seen',
  'certificate-untrusted': 'The certificate is not from an authority that is listed',
  'certificate-purpose': 'The certificate is not for clients',
  'certificate-key': 'The key of the certificate is too short',
  'certificate-expired': 'The certificate, or that of its authority, expired',
  'certificate-not-yet-valid': 'The certificate, or that of its authority, is not valid yet',
  'certificate-name': 'The certificate does not name its holder in the way that is asked for',
  'certificate-not-allowed': 'The holder of the certificate is not listed',
} as const

type CertificateFault = keyof typeof faults

/** A certificate of somebody who is known, in its time: in milliseconds since 1970. */
interface KnownCertificate {
  readonly principal: Principal
  readonly from: number
  readonly until: number
}

/**
 * Knows callers by their client certificates (mutual TLS, RFC 8705 section 2). None shown: 401 `unauthenticated`; not from a listed
 * authority, not in its time, not for clients, or of somebody who is not listed: 401 `invalid-certificate`.
 *
 * @example
 * secureApi({ auth: [mtls({ ca: readFileSync('partners-ca.pem', 'utf8'), identity: 'uri' })] })
 * @throws ConfigError for every option that leaves open who is known
 */
export const mtls = defineStage('mtls', (options: MtlsOptions): Omit<Method, 'name'> => {
  const rules = prepareMtls(options)
  const { source, identity, trusted, cacheEntries } = rules
  const { realm = 'api' } = options
  const reader = new CertificateReader(source)
  const known = new Generations<string, readonly KnownCertificate[]>(cacheEntries)
  // No scheme is registered for what TLS has asked for before; RFC 9110 section 15.5.2 wants one.
  const offered = [challenge('ClientCertificate', { realm: realmText('mtls.realm', realm) })]
  const nothing = refusal('unauthenticated', 'No credential of an accepted kind was sent', offered[0]!)
  const detail = 'The client certificate is not accepted'
  const error = { error: 'invalid_certificate', error_description: detail }
  const invalid = refusal('invalid-certificate', detail, extendChallenge(offered[0]!, error))
  const because = (fault: CertificateFault) => invalid(fault, faults[fault])

  const accept = (ctx: SecurityContext, shown: ShownCertificate): Problem | undefined => {
    // Asked each time: another server of this process may trust other authorities.
    if (shown.authorized === false) return because('certificate-untrusted')
    let found = known.get(shown.x5t)
    if (found === undefined) {
      const judged = judge(shown, rules)
      if (typeof judged === 'string') return because(judged)
      known.set(shown.x5t, (found = judged))
    }
    const now = ctx.services.clock.now()
    const current = found.find(({ from, until }) => now >= from && now <= until)
    if (current === undefined) {
      const isEarly = found.every(({ from }) => now < from)
      return because(isEarly ? 'certificate-not-yet-valid' : 'certificate-expired')
    }
    ctx.principal = current.principal
    ctx.set(ambientProof, { binding: shown.x5t, machines: true })
    ctx.note('certificate', 'the client certificate is that of a known caller')
    return undefined
  }

  return {
    gives: ['principal'],
    methodName: 'mtls',
    insteadOfTwo: 'give one the authorities of both: mtls({ ca: [one, other] })',
    ambient: true,
    unasked: 'browsers send certificates unasked',
    recognises: (ctx) => reader.read(ctx) !== 'none',
    challenge: () => offered,

    enter(ctx) {
      ctx.principal = undefined
      ctx.set(ambientProof, undefined)
      ctx.set(challenges, offered)
      const shown = reader.read(ctx)
      if (shown === 'none') return nothing('no-credential')
      if (shown === 'certificate-twice') {
        return refuse('invalid-request', { detail: 'More than one client certificate was sent', rule: shown })
      }
      return shown === 'certificate-malformed' ? because(shown) : accept(ctx, shown)
    },

    describe: () => ({
      ca: trusted.map(({ subject }) => distinguishedName(subject) ?? ''),
      certificate: source,
      identity,
      ...(rules.allowed !== undefined && { allow: [...rules.allowed] }),
      cacheEntries,
      realm,
    }),
    findings: () => [...forwardedFinding('mtls', source), ...alike(trusted).map(alikeFinding)],
    // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is a rejection
    ready: async (services) => reader.check(services),
    close: () => {
      known.clear()
      return Promise.resolve()
    },
  }
})

function alikeFinding(name: string): Finding {
  return {
    code: 'mtls-authorities-alike',
    severity: 'medium',
    cause: `mtls.ca has several keys of authorities that are called '${name}': what one of them says about a caller counts as if each had said it`,
    fix: 'list one of them, unless they are keys of one authority that is changing its key',
  }
}

function refusal(code: 'unauthenticated' | 'invalid-certificate', detail: string, header: string) {
  const details = { detail, headers: { 'WWW-Authenticate': header } }
  return (rule: string, reason = detail) => refuse(code, { ...details, rule, reason })
}

function judge(
  { certificate, x5t }: ShownCertificate,
  { trusted, identity, allowed, claims }: MtlsRules,
): readonly KnownCertificate[] | Distrust | CertificateFault {
  const issuers = issuersOf(certificate, trusted)
  if (typeof issuers === 'string') return issuers
  const subject = nameIn(certificate, identity)
  if (subject === undefined) return 'certificate-name'
  if (allowed !== undefined && !allowed.has(subject)) return 'certificate-not-allowed'

  const said: unknown = claims?.(certificate) ?? {}
  if (isStrayPromise(said) || typeof said !== 'object')
    throw new TypeError('mtls.claims must return an object')
  // A copy: it is frozen, and must not be somebody's table.
  const copy = structuredClone(said) as object
  return issuers.map((issuer) => {
    const from = Math.max(...[certificate, issuer].map(({ validFrom }) => Date.parse(validFrom)))
    const until = Math.min(...[certificate, issuer].map(({ validTo }) => Date.parse(validTo)))
    return { principal: principalOf(subject, certificate, x5t, copy, { from, until }), from, until }
  })
}

function principalOf(
  subject: string,
  certificate: X509Certificate,
  x5t: string,
  said: object,
  { from, until }: { from: number; until: number },
): Principal {
  // Two authorities may know two callers by one name (ASVS 6.8.1). The first space ends the issuer.
  const issuer = `x509:${encodeURIComponent(distinguishedName(certificate.issuer) ?? '')}`
  const principal: Principal = {
    id: `${issuer} ${subject}`,
    subject,
    issuer,
    method: 'mtls',
    claims: {
      ...said,
      subject_dn: distinguishedName(certificate.subject) ?? '',
      serial_number: certificate.serialNumber,
      'x5t#S256': x5t,
    },
    issuedAt: Math.floor(from / 1000),
    expiresAt: Math.floor(until / 1000),
    bound: ['mtls'],
  }
  deepFreeze(principal)
  return principal
}
