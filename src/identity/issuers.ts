import { oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Secret } from '../kernel/secret.js'
import { algorithmNames, asymmetricAlgorithms, isSymmetric, type SigningAlgorithm } from './algorithms.js'
import { discover } from './discovery.js'
import { endpointUrl, type EndpointRules } from './endpoint.js'
import { checkAudience, checkDiscoverable, checkName } from './issuer-names.js'
import type { IssuerTermsOptions } from './issuer-terms.js'
import { fetchKeys, keysOf } from './jwks.js'
import type { KeySource } from './key-source.js'
import { RemoteKeys } from './remote-keys.js'
import { staticKeys, staticSecrets, type PublicJwk, type PublicKey } from './static-keys.js'

/** Gives a JWK Set (RFC 7517 section 5) as it is at the moment. */
export type PublishedBy = () => Promise<{ readonly keys: readonly PublicJwk[] }>

/** Whose tokens are accepted, and which keys verify them: at most one of `jwksUri`, `keys` and `secret`. */
export interface IssuerOptions extends IssuerTermsOptions {
  /** The exact `iss` of its tokens. With neither `jwksUri`, `keys` nor `secret` also the URL under which its metadata is found. */
  issuer: string
  /** Who this API is to this issuer: one of these must be in `aud`. Default: the `audience` of `bearer`. */
  audience?: string | readonly string[]
  /** Where the issuer publishes its keys (RFC 7517 section 5). Default: what its metadata says (OpenID Connect Discovery, RFC 8414). */
  jwksUri?: string
  /**
   * Its public keys: JWK, PEM text or KeyObject; or a function that gives the JWK Set as it is at the moment, asked again every minute and
   * when a `kid` is not known. Nothing is fetched then. Default: fetched from `jwksUri`.
   */
  keys?: PublicKey | readonly PublicKey[] | PublishedBy
  /**
   * The secret that it shares with this API, for HS256, HS384 and HS512; several while one replaces another. At least 32 bytes (48,
   * 64), never one that is published somewhere. Whoever holds it can mint tokens, this API included: prefer keys. Default: none.
   */
  secret?: Secret | readonly Secret[]
  /**
   * Signature algorithms accepted, each only with a key of its own type. Default: RS, PS and ES with 256, 384 and 512
   * bits, EdDSA and Ed25519; with `secret` HS256. HS* and the others never go together (RFC 8725 section 3.1). Others: 401 `invalid-token`.
   */
  algorithms?: readonly SigningAlgorithm[]
  /**
   * Accepted values of `typ`, without `application/`. Default `'at+jwt'` (RFC 9068 section 2.1), so that no ID token passes for an
   * access token. `false` also accepts `JWT` and none, for issuers that do not follow RFC 9068. Another `typ`: 401 `invalid-token`.
   */
  typ?: string | readonly string[] | false
}

/** Keys that this process has at hand cost little to look at. */
const LOCAL_REFRESH_MS = 60_000

/** One issuer, ready to verify. */
export interface Issuer {
  readonly name: string
  readonly audiences: readonly string[]
  readonly algorithms: ReadonlySet<SigningAlgorithm>
  readonly keys: KeySource
  readonly keysFrom: 'discovery' | 'jwksUri' | 'keys' | 'secret'
}

/** What the issuers of one `bearer` have in common. */
export interface SharedRules extends EndpointRules {
  readonly audience: string | readonly string[] | undefined
  readonly maxStaleMs: number
}

/** @throws ConfigError whenever the options leave open which key may sign what */
export function prepareIssuer(option: string, options: IssuerOptions, shared: SharedRules): Issuer {
  const { issuer: name, audience = shared.audience, jwksUri, keys, secret } = options
  checkName(`${option}.issuer`, name)

  const given = (['jwksUri', 'keys', 'secret'] as const).filter((key) => options[key] !== undefined)
  if (given.length > 1) {
    throw new ConfigError(`${option} has ${given.join(' and ')}: keys of one issuer come from one place`)
  }
  const algorithms = checkAlgorithms(`${option}.algorithms`, options.algorithms, secret !== undefined)
  const base = {
    name,
    audiences: checkAudience(`${option}.audience`, audience),
    algorithms: new Set(algorithms),
    keysFrom: given[0] ?? ('discovery' as const),
  }

  if (secret !== undefined) {
    const set = staticSecrets(`${option}.secret`, listOf(secret), algorithms)
    return { ...base, keys: { current: () => set } }
  }
  if (typeof keys === 'function') {
    const source = new RemoteKeys({
      issuer: name,
      maxStaleMs: shared.maxStaleMs,
      refreshMs: LOCAL_REFRESH_MS,
      fetchKeys: async () => keysOf((await keys()).keys, algorithms),
    })
    return { ...base, keys: source }
  }
  if (keys !== undefined) {
    const set = staticKeys(`${option}.keys`, listOf(keys), algorithms)
    return { ...base, keys: { current: () => set } }
  }
  return { ...base, keys: remoteKeys(option, name, jwksUri, algorithms, shared) }
}

function remoteKeys(
  option: string,
  issuer: string,
  jwksUri: string | undefined,
  algorithms: readonly SigningAlgorithm[],
  rules: SharedRules,
): KeySource {
  if (jwksUri === undefined) {
    checkDiscoverable(`${option}.issuer`, issuer, rules)
  } else {
    endpointUrl(`${option}.jwksUri`, jwksUri, rules)
  }

  let found = jwksUri
  return new RemoteKeys({
    issuer,
    maxStaleMs: rules.maxStaleMs,
    async fetchKeys(services, signal, rediscover) {
      if (jwksUri === undefined && (found === undefined || rediscover)) {
        found = await discover('jwks_uri', issuer, services, rules, signal)
      }
      return await fetchKeys(found!, services, algorithms, signal)
    },
  })
}

function checkAlgorithms(option: string, given: unknown, secret: boolean): readonly SigningAlgorithm[] {
  if (given === undefined) return secret ? ['HS256'] : asymmetricAlgorithms
  const list = checkAlgorithmNames(option, given)
  const wrong = list.find((one) => isSymmetric(one) !== secret)
  if (wrong === undefined) return list
  throw new ConfigError(
    secret
      ? `${option} has ${wrong}, which needs \`keys\` and not \`secret\``
      : `${option} has ${wrong}, which needs \`secret\`: with public keys, everyone could mint tokens`,
    'mixed-algorithms',
  )
}

/** @throws ConfigError unless it is a list of algorithms */
export function checkAlgorithmNames(option: string, given: unknown): readonly SigningAlgorithm[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new ConfigError(`${option} must list at least one algorithm, got ${show(given)}`)
  }
  return given.map((one: unknown) => oneOf(option, one, algorithmNames))
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}
