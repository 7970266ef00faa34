import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { defineHandler } from '../kernel/handler.js'
import type { Middleware } from '../kernel/stage.js'
import { endpointUrl, whyNotTrusted, type EndpointRules } from './endpoint.js'
import { checkDiscoverable } from './issuer-names.js'
import type { TokensRules } from './tokens-options.js'

/** Where the application has mounted the endpoints of its issuer: a path on the origin of `issuer`, or the whole URL. */
export interface TokenEndpoints {
  /** Where `own.jwks` is: `jwks_uri`. Default `'/.well-known/jwks.json'`. */
  jwks?: string
  /** Where `own.token` is: `token_endpoint`. Default: not said. */
  token?: string
  /** Where `own.revoke` is: `revocation_endpoint`. Default: not said. */
  revoke?: string
}

/** How long others may use it without asking again: as the keys. */
const HEADERS = { 'Cache-Control': 'public, max-age=300' }

/**
 * The metadata of an issuer (RFC 8414), so that others need its name only. There is none for OpenID Connect: it knows no ID tokens.
 *
 * @throws ConfigError where the name of the issuer, or an endpoint, is nothing that others could ask
 */
export function tokensMetadata(rules: TokensRules, endpoints: TokenEndpoints = {}): Middleware {
  const document = described(rules, endpoints)
  return defineHandler('tokens', {
    methods: ['GET'],
    answer: () => ({ json: document, headers: HEADERS }),
  })
}

function described({ issuer, clientKeys }: TokensRules, endpoints: TokenEndpoints): object {
  knownKeys('tokens.metadata', endpoints, ['jwks', 'token', 'revoke'], ['jwks', 'token', 'revoke'])
  const { jwks = '/.well-known/jwks.json', token, revoke } = endpoints
  // An issuer on this machine, to try it out, cannot have another place than that.
  const rules = { allowInsecureLoopback: issuer.startsWith('http:') }
  checkDiscoverable('tokens.issuer', issuer, rules)
  const { origin } = new URL(issuer)
  const url = (name: keyof TokenEndpoints, given: unknown) =>
    placeOf(`tokens.metadata.${name}`, given, origin, rules)

  return {
    issuer,
    jwks_uri: url('jwks', jwks),
    ...(token !== undefined && {
      token_endpoint: url('token', token),
      token_endpoint_auth_methods_supported: ['none'],
    }),
    ...(revoke !== undefined && {
      revocation_endpoint: url('revoke', revoke),
      revocation_endpoint_auth_methods_supported: ['none'],
    }),
    // RFC 8414 section 2: both lists are said because leaving them out would mean others, or is not allowed.
    grant_types_supported: ['refresh_token'],
    response_types_supported: [],
    ...(clientKeys.algorithms !== undefined && {
      dpop_signing_alg_values_supported: clientKeys.algorithms,
    }),
  }
}

/** A path that stays on its host, or a URL; written in full, because others may read the rest in another way, or not at all. */
const PATH = /^\/(?![/\\])[!-~]*$/
const WHOLE = /^https?:\/\/[!-~]+$/i

function placeOf(option: string, given: unknown, origin: string, rules: EndpointRules): string {
  if (typeof given === 'string' && PATH.test(given)) return endpointUrl(option, origin + given, rules)
  if (typeof given === 'string' && WHOLE.test(given) && whyNotTrusted(given, rules) === undefined)
    return given
  throw new ConfigError(
    `${option} must be where it is mounted: a path such as '/token', or an https URL, got ${show(given)}`,
    'untrusted-url',
  )
}
