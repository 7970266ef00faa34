import type { Services } from '../kernel/services.js'
import { EndpointError, fetchJson, whyNotTrusted, type EndpointRules } from './endpoint.js'

/** What is looked for in the metadata of an issuer (RFC 8414 section 2). */
export type MetadataUrl = 'jwks_uri' | 'introspection_endpoint'

/** Who denies by default has 401 or 403 for whatever is not there. */
const ABSENT: ReadonlySet<number | undefined> = new Set([401, 403, 404, 410])

/**
 * Where the issuer publishes its keys, or tells about tokens: OpenID Connect Discovery 1.0 section 4, and RFC 8414 section 3
 * for issuers that only serve that. The document must claim the same issuer, to the letter (RFC 8414 section 3.3), and name a
 * URL that may be trusted.
 */
export async function discover(
  member: MetadataUrl,
  issuer: string,
  services: Pick<Services, 'fetch'>,
  rules: EndpointRules,
  signal: AbortSignal,
): Promise<string> {
  const metadata = await fetchMetadata(issuer, services, signal)

  if (metadata.issuer !== issuer) {
    throw new EndpointError(`the metadata of ${issuer} claims another issuer`)
  }
  const uri = metadata[member]
  const why = typeof uri === 'string' ? whyNotTrusted(uri, rules) : 'is missing'
  if (why !== undefined) throw new EndpointError(`${member} in the metadata of ${issuer} ${why}`)
  return uri as string
}

async function fetchMetadata(
  issuer: string,
  services: Pick<Services, 'fetch'>,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const [openId, oauth] = wellKnownUrls(issuer)
  try {
    return await fetchJson(openId, services, signal)
  } catch (error) {
    if (!(error instanceof EndpointError && ABSENT.has(error.status))) throw error
    return await fetchJson(oauth, services, signal)
  }
}

/** OpenID appends to the path, RFC 8414 inserts before it; both first drop a slash at the end. */
export function wellKnownUrls(issuer: string): [openId: string, oauth: string] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ]
}
