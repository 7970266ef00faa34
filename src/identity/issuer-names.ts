import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { endpointUrl, type EndpointRules } from './endpoint.js'

/** What stands in `principal.id` in the place of an issuer where this application itself vouches for the subject. */
const LOCAL_ISSUERS: readonly unknown[] = ['session', 'basic-auth', 'api-key']
const OF_CERTIFICATES = /^x509:/i

/**
 * A subject follows its issuer after a space in `principal.id`, so an issuer must not contain one; nor may it be called as
 * those are who have none (ASVS 6.8.1).
 */
export function checkName(option: string, name: unknown): void {
  if (typeof name === 'string' && (LOCAL_ISSUERS.includes(name) || OF_CERTIFICATES.test(name))) {
    throw new ConfigError(
      `${option} must not be "${name}": subjects that no issuer vouches for are known by it, and its tokens could name them`,
      'reserved-issuer',
    )
  }
  if (typeof name === 'string' && /^[\x21-\x7e]+$/.test(name)) return
  throw new ConfigError(
    `${option} must be the exact \`iss\` of the tokens, without spaces, got ${show(name)}`,
  )
}

export function checkAudience(option: string, audience: unknown): readonly string[] {
  const list: unknown[] = Array.isArray(audience) ? audience : [audience]
  if (list.length > 0 && list.every((one) => typeof one === 'string' && one !== '')) return list as string[]
  throw new ConfigError(
    `${option} must name this API as its tokens do in \`aud\`, such as 'https://api.example.com', got ${show(audience)}; without it tokens for any other API would be accepted`,
    'audience-required',
  )
}

/** An issuer whose metadata is looked for: its name is where (RFC 8414 section 2). */
export function checkDiscoverable(option: string, issuer: string, rules: EndpointRules): void {
  endpointUrl(option, issuer, rules)
  if (issuer.includes('?')) throw new ConfigError(`${option} must not have a query (RFC 8414 section 2)`)
}
