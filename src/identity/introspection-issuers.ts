import { integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { clientAuth, type ClientAuth, type ClientOptions } from './client-auth.js'
import type { DpopMode } from './dpop-options.js'
import { endpointUrl, type EndpointRules } from './endpoint.js'
import type { IntrospectionOptions } from './introspection-options.js'
import { checkAudience, checkDiscoverable, checkName } from './issuer-names.js'
import { prepareTerms, PROTECTING, TERMS, type IssuerTerms, type IssuerTermsOptions } from './issuer-terms.js'
import { isToken } from './sent-token.js'

/** An issuer of opaque tokens, how this API asks it about them, and what has to be true of them. */
export interface IntrospectionIssuerOptions extends ClientOptions, IssuerTermsOptions {
  /**
   * The exact name of the issuer, which is asked about tokens. Without `endpoint` also the URL under which its metadata is found. If
   * an answer has `iss`, it must be this: 401 `invalid-token`.
   */
  issuer: string
  /** Where the issuer answers (RFC 7662). Default: `introspection_endpoint` in its metadata (RFC 8414). */
  endpoint?: string
  /**
   * Who this API is in the `aud` of answers; one of several is enough. Required here or beside the list, because without it a token for any
   * other API of the same issuer would be accepted. Another `aud`, or none: 401 `invalid-token`.
   */
  audience?: string | readonly string[]
  /**
   * What its tokens start with, one or several texts: only it is asked about them. None may be the beginning of another. Default: none, and it is asked
   * about what starts with no prefix of the others; required of all issuers but one, so that none is shown a token of another.
   */
  prefix?: string | readonly string[]
  /**
   * How long an answer serves, in milliseconds, and never past the end of the token. Default 30,000: so long a revoked token is still
   * accepted. 0 asks each time.
   */
  cacheMs?: number
  /** How many questions are open at the issuer at once; a hundred more wait. Default 16. Beyond: 503 `identity-provider-unavailable`. */
  maxCalls?: number
  /** How long one answer may take, and how long a question may wait for its turn, in milliseconds. Default 1,000. Later: 503. */
  timeoutMs?: number
}

/** The same, checked. */
export interface IntrospectionIssuer extends EndpointRules {
  readonly terms: IssuerTerms
  readonly name: string
  readonly endpoint: string | undefined
  readonly audiences: readonly string[]
  readonly prefixes: readonly string[]
  readonly clientId: string
  readonly proof: 'client_secret_basic' | 'private_key_jwt'
  readonly prove: ClientAuth
  readonly cacheMs: number
  readonly maxCalls: number
  readonly timeoutMs: number
}

/** What only one issuer may know of. */
export const OF_ONE = ['endpoint', 'clientId', 'clientSecret', 'privateKey'] as const
/** What an entry may have of its own, and what stands beside the list is for all. */
export const ASKING = ['cacheMs', 'maxCalls', 'timeoutMs'] as const
const KNOWN = ['issuer', 'audience', 'prefix', ...OF_ONE, ...ASKING, ...TERMS]

/**
 * The issuers of one `introspection`.
 *
 * @param dpop the mode that stands beside the list
 * @throws ConfigError for whatever leaves open whose tokens are accepted, or who is asked about one
 */
export function prepareIntrospectionIssuers(
  options: IntrospectionOptions,
  dpop: DpopMode,
  trust: EndpointRules,
): readonly IntrospectionIssuer[] {
  const { issuer, issuers, dangerouslyShowTokensToOthers: shown = false } = options
  if ((issuer === undefined) === (issuers === undefined)) {
    throw new ConfigError(
      "introspection needs one of `issuer: 'https://id.example.com'` and `issuers: [{ issuer, ... }]`: whose tokens are accepted",
      'issuer-required',
    )
  }
  const around: Around = { ...options, dpop }
  // What is wrong beside the list is wrong there, also if every issuer says something else.
  prepareTerms('introspection', around)
  askingOf('introspection', around, {})
  if (around.audience !== undefined) checkAudience('introspection.audience', around.audience)
  if (issuers === undefined) {
    if (shown) throw new ConfigError(`${SHOWN} is for several issuers; leave it out`)
    return [prepareIssuer('introspection', around as IntrospectionIssuerOptions, around, trust)]
  }
  if (!Array.isArray(issuers) || issuers.length === 0) {
    throw new ConfigError(`introspection.issuers must list at least one issuer, got ${show(issuers)}`)
  }
  const misplaced = OF_ONE.find((name) => options[name] !== undefined)
  if (misplaced !== undefined) {
    throw new ConfigError(
      `introspection.${misplaced} beside \`issuers\` would show what is of one issuer to the others; write \`issuers: [{ issuer, ${misplaced} }]\``,
    )
  }
  const listed: readonly IntrospectionIssuerOptions[] = issuers
  const prepared = [...listed].map((one, index) => {
    const option = `introspection.issuers[${index}]`
    knownKeys(option, one, KNOWN, ['endpoint', 'clientSecret', 'privateKey', 'prefix', ...PROTECTING])
    return prepareIssuer(option, one, around, trust)
  })
  checkApart(prepared, shown)
  return prepared
}

type Around = Pick<IntrospectionOptions, 'audience' | (typeof ASKING)[number]> & IssuerTermsOptions

function prepareIssuer(
  option: string,
  own: IntrospectionIssuerOptions,
  around: Around,
  trust: EndpointRules,
): IntrospectionIssuer {
  const { issuer: name, endpoint, audience = around.audience, prefix } = own
  checkName(`${option}.issuer`, name)
  if (endpoint === undefined) checkDiscoverable(`${option}.issuer`, name, trust)
  else endpointUrl(`${option}.endpoint`, endpoint, trust)
  return {
    name,
    endpoint,
    audiences: checkAudience(`${option}.audience`, audience),
    prefixes: prefix === undefined ? [] : checkPrefixes(`${option}.prefix`, prefix),
    clientId: own.clientId,
    proof: own.privateKey === undefined ? 'client_secret_basic' : 'private_key_jwt',
    prove: clientAuth(option, name, own),
    ...askingOf(option, own, around),
    terms: prepareTerms(option, own, around),
    ...trust,
  }
}

function askingOf(
  option: string,
  own: Around,
  around: Around,
): Pick<IntrospectionIssuer, (typeof ASKING)[number]> {
  const whole = (name: (typeof ASKING)[number], usual: number, bounds: { min?: number; max: number }) =>
    integer(
      `${option}.${name}`,
      [own[name], around[name], usual].find((one) => one !== undefined),
      bounds,
    )
  return {
    cacheMs: whole('cacheMs', 30_000, { min: 0, max: 3_600_000 }),
    maxCalls: whole('maxCalls', 16, { max: 1_000 }),
    timeoutMs: whole('timeoutMs', 1_000, { max: 60_000 }),
  }
}

function checkPrefixes(option: string, given: unknown): readonly string[] {
  const list: unknown[] = Array.isArray(given) ? given : [given]
  if (list.length > 0 && list.every(isBeginning)) return list as string[]
  throw new ConfigError(
    `${option} must be a text that its tokens start with, in the characters of a token, or a list of them, got ${show(given)}`,
  )
}

/** With `=` a token ends (RFC 6750 section 2.1), so that none starts with it. */
function isBeginning(text: unknown): boolean {
  return typeof text === 'string' && isToken(text) && !text.endsWith('=')
}

const SHOWN = 'introspection.dangerouslyShowTokensToOthers'

/** Whoever is asked about a token has it: that must be its own issuer, and nobody else. */
function checkApart(issuers: readonly IntrospectionIssuer[], shown: boolean): void {
  const names = issuers.map(({ name }) => name)
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index)
  if (twice >= 0) {
    throw new ConfigError(`introspection.issuers[${twice}].issuer is listed twice; keep one`)
  }
  const prefixes = issuers.flatMap((issuer) => issuer.prefixes.map((prefix) => ({ prefix, issuer })))
  prefixes.forEach(({ prefix, issuer }, at) => {
    const other = prefixes.find((one, index) => index !== at && one.prefix.startsWith(prefix))
    if (other === undefined) return
    throw new ConfigError(
      `introspection.issuers: the prefix of ${issuer.name} is the beginning of one of ${other.issuer.name}, so nobody can tell whose such a token is; make them differ`,
      'introspection-prefix',
    )
  })
  const unknown = issuers.filter((issuer) => issuer.prefixes.length === 0).map(({ name }) => name)
  if (unknown.length > 1 && !shown) {
    throw new ConfigError(
      `introspection.issuers: ${unknown.join(' and ')} have no prefix, so a token of one would be shown to the other, which could use it; write the \`prefix\` that the tokens of all but one start with, or ${SHOWN.slice('introspection.'.length)}: true`,
      'introspection-prefix',
    )
  }
  if (unknown.length < 2 && shown) {
    throw new ConfigError(`${SHOWN} is true, and each issuer is known by its tokens; leave it out`)
  }
}
