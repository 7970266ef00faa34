import type { Services } from '../kernel/services.js'
import { loadPeer } from '../kernel/peer.js'
import type { Problem } from '../kernel/problem.js'
import { parseStrictObject } from '../lib/strict-json.js'
import type { Claims } from './claims.js'
import { askEndpoint, EndpointError, whyNotTrusted } from './endpoint.js'
import { jose } from './signature.js'
import type { SsoRules } from './sso-options.js'
import { loginRefused, providerAway } from './sso-refusals.js'

type OpenIdClient = typeof import('openid-client')
type Configuration = InstanceType<OpenIdClient['Configuration']>
type ClientAuth = ReturnType<OpenIdClient['None']>
/** Of Web Crypto, which has a type of its own nowhere. */
type SigningKey = Extract<Parameters<OpenIdClient['PrivateKeyJwt']>[0], { readonly extractable: boolean }>

/** Where a login is sent, and what must come back with it. */
export interface Asked {
  readonly state: string
  readonly nonce: string
  readonly challenge: string
}

/** What came back, and what it must fit. */
export interface Answered {
  readonly query: string
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

/** The ID token: verified claims, and the text of it. */
export interface SignedIn {
  readonly claims: Claims
  readonly idToken: string
}

/** What is wrong with the answer of a login, and not with the provider. */
const BAD_ANSWER: Readonly<Record<string, 'sso-denied' | 'sso-token'>> = {
  OAUTH_AUTHORIZATION_RESPONSE_ERROR: 'sso-denied',
  OAUTH_INVALID_RESPONSE: 'sso-token',
  OAUTH_JWT_CLAIM_COMPARISON_FAILED: 'sso-token',
  OAUTH_JWT_TIMESTAMP_CHECK_FAILED: 'sso-token',
  OAUTH_KEY_SELECTION_FAILED: 'sso-token',
}

/** As `openid-client` exports what it has fetched: `uat` is when, in seconds since 1970. */
type Keys = NonNullable<ReturnType<OpenIdClient['getJwksCache']>>

/**
 * `openid-client` looks for a key that it does not know only if what it knows is so old, so keys are kept as if they were: one that the
 * provider has begun to use is found at once. Only the provider can make it look, by an ID token that came over TLS.
 */
const OLD_SECONDS = 60
/** How old what is known of the provider becomes. */
const REFRESH_MS = 600_000

/** The identity provider, as `openid-client` speaks with it: found out about when it is first needed. */
export class SsoProvider {
  private readonly client: OpenIdClient
  private proof: ClientAuth | undefined
  private keys: Keys | undefined
  private found: Configuration | undefined
  private finding: Promise<Configuration> | undefined
  /** On the clock that does not jump. */
  private soughtAt = -Infinity

  /** @throws ConfigError if `openid-client` is not installed */
  constructor(private readonly rules: SsoRules) {
    this.client = loadPeer('openid-client', 'sso()') as OpenIdClient
  }

  async ready(services: Services): Promise<void> {
    await this.configured(services)
  }

  /** What is known of the provider. When it is old, it is looked up anew, and whoever comes meanwhile does not wait. */
  private configured(services: Services): Configuration | Promise<Configuration> {
    if (this.found === undefined) return this.find(services)
    if (services.clock.monotonic() - this.soughtAt >= REFRESH_MS)
      this.find(services).catch((error: unknown) => {
        const { message } = error as Partial<Error>
        services.log.warn('sso: the metadata of the provider cannot be renewed', { message })
      })
    return this.found
  }

  /** Whoever asks at the same time gets the same answer. What could not be found is looked for again by who comes next. */
  private find(services: Services): Promise<Configuration> {
    this.soughtAt = services.clock.monotonic()
    return (this.finding ??= this.discover(services)
      .then((found) => (this.found = found))
      .finally(() => (this.finding = undefined)))
  }

  async loginUrl(services: Services, { state, nonce, challenge }: Asked): Promise<string> {
    const { redirectUri, scope, maxAgeSeconds, acrValues } = this.rules
    const config = await this.configured(services)
    return this.client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope,
      state,
      nonce,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      ...(maxAgeSeconds !== undefined && { max_age: String(maxAgeSeconds) }),
      ...(acrValues.length > 0 && { acr_values: acrValues.join(' ') }),
    }).href
  }

  /** Whether an answer may be from this issuer (RFC 9207 section 2.4); one that promises to say so must. */
  async isFrom(services: Services, iss: readonly string[]): Promise<boolean> {
    const { authorization_response_iss_parameter_supported: says } = (
      await this.configured(services)
    ).serverMetadata()
    return iss.length === 0 ? says !== true : iss.length === 1 && iss[0] === this.rules.issuer.name
  }

  /** Gets the ID token for the code of an answer; its signature is checked although it comes over TLS (ASVS 6.8.2). */
  async signIn(services: Services, { query, state, nonce, verifier }: Answered): Promise<SignedIn> {
    const { keys } = this
    const config = this.forOneLogin(await this.configured(services), services, keys)
    const { maxAgeSeconds } = this.rules
    const url = new URL(this.rules.redirectUri)
    url.search = query
    const signingIn = this.client.authorizationCodeGrant(config, url, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
      ...(maxAgeSeconds !== undefined && { maxAge: maxAgeSeconds }),
    })
    // Whatever failed, the next login has the newest keys, also where a clock was wrong or a key changed under its name; and the
    // one after it knows whether the provider has moved.
    const tokens = await signingIn.catch((error: unknown) => {
      this.keys = undefined
      this.soughtAt = -Infinity
      throw error
    })
    const latest = this.client.getJwksCache(config)
    if (latest !== undefined && latest.uat !== keys?.uat)
      this.keys = { ...latest, uat: latest.uat - OLD_SECONDS }
    return { claims: { ...tokens.claims()! }, idToken: tokens.id_token! }
  }

  /** Knows the keys of the logins before, and looks for one that it does not know. */
  private forOneLogin(known: Configuration, services: Services, keys: Keys | undefined): Configuration {
    const { client, rules } = this
    const { clientId, timeoutMs } = rules
    const config = new client.Configuration(
      known.serverMetadata(),
      clientId,
      { ...this.metadata(), [client.clockSkew]: this.skew(services) },
      this.proof,
    )
    for (const extend of this.extensions()) extend(config)
    config[client.customFetch] = this.bounded(services, 'keys')
    config.timeout = timeoutMs / 1000
    if (keys !== undefined) client.setJwksCache(config, keys)
    return config
  }

  /** Where the user is logged out at the provider as well; `undefined` if it has no such place. */
  async logoutUrl(services: Services, idToken: string | undefined): Promise<string | undefined> {
    const { postLogoutRedirectUri } = this.rules
    const config = await this.configured(services)
    if (config.serverMetadata().end_session_endpoint === undefined) return undefined
    return this.client.buildEndSessionUrl(config, {
      ...(idToken !== undefined && { id_token_hint: idToken }),
      ...(postLogoutRedirectUri !== undefined && { post_logout_redirect_uri: postLogoutRedirectUri }),
    }).href
  }

  private async discover(services: Services): Promise<Configuration> {
    const { client, rules } = this
    const { issuer, clientId, timeoutMs } = rules
    this.proof ??= await this.prove()
    const config = await client.discovery(new URL(issuer.name), clientId, this.metadata(), this.proof, {
      execute: this.extensions(),
      [client.customFetch]: this.bounded(services, 'issuer'),
      timeout: timeoutMs / 1000,
    })
    const found = config.serverMetadata()
    // `openid-client` lets some well-known providers name another one (ASVS 10.5.3).
    if (found.issuer !== issuer.name)
      throw new EndpointError(`the metadata of ${issuer.name} claims another issuer`)
    const { authorization_endpoint: pages = '', end_session_endpoint: end } = found
    for (const url of [pages, end]) {
      const why = url === undefined ? undefined : whyNotTrusted(url, rules)
      if (why !== undefined) throw new EndpointError(`an endpoint in the metadata of ${issuer.name} ${why}`)
    }
    return config
  }

  /**
   * In seconds. `openid-client` reads `Date.now`, and times are judged by the clock of the API. Where both are one, it is 0 although a
   * second may end in between.
   */
  private skew({ clock }: Services): number {
    return Math.round((clock.now() - Date.now()) / 1000)
  }

  private metadata() {
    return { [this.client.clockTolerance]: this.rules.clockToleranceSeconds }
  }

  /** How it shows who it is, as `openid-client` has it. */
  private async prove(): Promise<ClientAuth> {
    const { client, rules } = this
    const how = rules.client
    if (how.by === 'none') return client.None()
    if (how.by !== 'key')
      return how.by === 'basic' ? client.ClientSecretBasic(how.secret) : client.ClientSecretPost(how.secret)
    const { key, algorithm, kid } = how.key
    const { importJWK } = await jose()
    const imported = (await importJWK(key.export({ format: 'jwk' }), algorithm)) as SigningKey
    return client.PrivateKeyJwt(kid === undefined ? imported : { key: imported, kid })
  }

  private extensions(): ((config: Configuration) => void)[] {
    const { client, rules } = this
    if (!rules.allowInsecureLoopback) return [client.enableNonRepudiationChecks]
    // On this machine only: what may be spoken with is decided by `bounded`, on every call.
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- its mark says that it is for this
    return [client.enableNonRepudiationChecks, client.allowInsecureRequests]
  }

  /**
   * Asks endpoints as all others here are asked: https, no redirect, a deadline, and an end to what is read. An answer without the
   * member that makes it one is the fault of the provider, and not of the login.
   *
   * @param document what a GET is for
   */
  private bounded(services: Services, document: 'issuer' | 'keys') {
    return async (
      url: string,
      options: { method: string; body?: unknown; headers: Record<string, string> },
    ) => {
      const why = whyNotTrusted(url, this.rules)
      if (why !== undefined) throw new EndpointError(`an endpoint of ${this.rules.issuer.name} ${why}`)
      const { method, headers, body } = options
      const question = {
        headers,
        ...(method === 'POST' && {
          method: 'POST' as const,
          body: await new Response(body as ConstructorParameters<typeof Response>[0]).text(),
        }),
        statuses: STATUSES,
      }
      const signal = AbortSignal.timeout(this.rules.timeoutMs)
      const { status, type, bytes } = await askEndpoint(url, question, services, signal)
      const member = method === 'POST' ? 'access_token' : document
      if (status === 200 && !hasMember(bytes, member))
        throw new EndpointError(`an answer of ${this.rules.issuer.name} has no ${member}`)
      return new Response(new Uint8Array(bytes), {
        status,
        headers: type === null ? {} : { 'content-type': type },
      })
    }
  }
}

function hasMember(bytes: Buffer, name: 'access_token' | 'issuer' | 'keys'): boolean {
  const value = parseStrictObject(bytes)?.[name]
  return name === 'keys' ? Array.isArray(value) : typeof value === 'string'
}

/** All that answers something: whether it is the right thing, `openid-client` says. */
const STATUSES = [200, 400, 401, 403]

/** What an error of `openid-client` means for the answer of a login: a bad one is the login's, anything else the provider's. */
export function problemOf(error: unknown): Problem {
  const { code, error: word, status } = read(error)
  const bad = typeof code === 'string' && Object.hasOwn(BAD_ANSWER, code) ? BAD_ANSWER[code] : undefined
  if (bad !== undefined) return loginRefused(bad, reasonOf(error))
  // Others than that say what the application is, and not what the user brought.
  const isCode = code === 'OAUTH_RESPONSE_BODY_ERROR' && word === 'invalid_grant' && Number(status) < 500
  return isCode ? loginRefused('sso-code', reasonOf(error)) : awayBecause(error)
}

/** The same for all else that the provider is asked: there is no user yet who could be to blame. */
export function awayBecause(error: unknown): Problem {
  return providerAway(reasonOf(error))
}

/** For the log. Not the error itself: what the provider answered hangs on it, codes, tokens and claims included. */
function reasonOf(error: unknown): object {
  const { code, message, error: word, cause } = read(error)
  const { code: inner, message: within } = read(cause)
  return {
    code: code ?? inner,
    message,
    // Words of `openid-client`'s own, which quote nothing.
    ...(typeof inner === 'string' && inner.startsWith('OAUTH_') && { because: within }),
    ...(typeof word === 'string' && /^[\w.-]{1,64}$/.test(word) && { error: word }),
  }
}

type Told = Partial<Record<'code' | 'message' | 'error' | 'status' | 'cause', unknown>>

function read(error: unknown): Told {
  return typeof error === 'object' && error !== null ? error : {}
}
