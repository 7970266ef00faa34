import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { endpointUrl, type EndpointRules } from './endpoint.js'

/** A subject follows its issuer after a space in `principal.id`, so an issuer must not contain one. */
export function checkName(option: string, name: unknown): void {
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
