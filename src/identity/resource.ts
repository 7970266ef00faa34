import { ConfigError } from '../kernel/config-error.js'
import { endpointUrl, type EndpointRules } from './endpoint.js'

/** What a method can say about the resource that it protects, for its metadata (RFC 9728 section 2). */
export interface ProtectedResource {
  /** Its identifier, to the letter. */
  readonly url: string
  /** Whose tokens open it. */
  readonly issuers: readonly string[]
  /** Whether only tokens are accepted that are bound to a client certificate (RFC 8705). */
  readonly certificateBound?: boolean
  /** Whether tokens that are bound to a key are accepted, or no others (RFC 9449). */
  readonly dpop?: { readonly algorithms: readonly string[]; readonly required: boolean }
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource'

/** @throws ConfigError unless it can name a resource (RFC 9728 section 1.2) */
export function resourceUrl(option: string, value: unknown, rules: EndpointRules): string | undefined {
  if (value === undefined) return undefined
  const url = endpointUrl(option, value, rules)
  if (url.includes('?')) {
    throw new ConfigError(
      `${option} must not have a query: it names this API as a whole (RFC 9728 section 1.2)`,
    )
  }
  return url
}

/** Between the host and the path of the resource; a slash alone is no path (RFC 9728 section 3.1). */
export function metadataPath(resource: string): string {
  const { pathname } = new URL(resource)
  return pathname === '/' ? WELL_KNOWN : WELL_KNOWN + pathname
}

export function metadataUrl(resource: string): string {
  return new URL(resource).origin + metadataPath(resource)
}
