import { boolean, func, integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Later, RecordStore, Store } from '../kernel/ports.js'
import { checkStore } from '../kernel/store-ports.js'
import type { Claims } from './claims.js'
import { endpointUrl } from './endpoint.js'
import { prepareIssuer, type Issuer } from './issuers.js'
import type { Revocations } from './revocation.js'
import type { Sessions } from './sessions.js'
import { prepareSsoClient, registered, type SsoClient, type SsoClientOptions } from './sso-client.js'
import { isLocalPath } from './sso-return-to.js'
import { mediaType } from './token.js'

export interface SsoOptions extends SsoClientOptions {
  /** The identity provider: the exact `iss` of its tokens, and the URL under which its metadata is found. Required. */
  issuer: string
  /** The URL of the callback, as it is registered there, without a query: one of its own for each provider. Required. */
  redirectUri: string
  /** Where logins lead: what `session()` returned. Required. */
  sessions: Sessions
  /** Where logins under way are kept, and which logout tokens were used: `redis(client)`, `postgres(pool)` or `memory()`. Required. While it is away: 503 `store-unavailable`. */
  store: Store
  /** What is asked for; `openid` must be among it. Default `'openid'`. */
  scope?: string
  /**
   * What access rules shall look at, made of the ID token, such as `({ groups }) => ({ roles: groups })`; `undefined` refuses the user: 403
   * `login-refused`. Default: nothing.
   */
  claims?: (idToken: Claims) => Later<Readonly<Record<string, unknown>> | undefined>
  /** How long ago the user may have shown a proof there, in seconds; checked in the ID token. Default: as long as the provider likes. */
  maxAgeSeconds?: number
  /** The levels to ask for, as the provider names them; `stepUp` says what is enough. Default: none. */
  acrValues?: readonly string[]
  /** Where a login leads that was not told: a path of this host. Default `'/'`. */
  returnTo?: string
  /** Where the provider sends the user after a logout, as it is registered there. Default: the user stays there. */
  postLogoutRedirectUri?: string
  /** Whom logouts of the provider tell as well, so that tokens end with the sessions. Default: nobody. */
  revocation?: Revocations
  /** How long a login may take, in milliseconds. Default 600,000, ten minutes. Longer: 403 `login-refused`. */
  loginTimeoutMs?: number
  /** The accepted `typ` of logout tokens; `false` accepts none, `JWT` and `logout+jwt`. Default `'logout+jwt'` (ASVS 10.5.5). Others: 400 `invalid-logout-token`. */
  logoutTyp?: string | false
  /** How far the clock of the provider may differ, in seconds, at most 300. Default 60. */
  clockToleranceSeconds?: number
  /** How long the provider may take for one answer, in milliseconds. Default 5,000. Later: 503 `identity-provider-unavailable`. */
  timeoutMs?: number
  /** Accepts http for a provider and a callback on this machine, and nowhere else; there, cookies are not `Secure`. Default false. */
  allowInsecureLoopback?: boolean
}

/** The same, checked. */
export interface SsoRules {
  readonly issuer: Issuer
  readonly clientId: string
  readonly client: SsoClient
  readonly redirectUri: string
  readonly secure: boolean
  readonly sessions: Sessions
  readonly store: Store & { readonly records: RecordStore }
  readonly scope: string
  readonly claims: NonNullable<SsoOptions['claims']>
  readonly maxAgeSeconds: number | undefined
  readonly acrValues: readonly string[]
  readonly returnTo: string
  readonly postLogoutRedirectUri: string | undefined
  readonly revocation: Revocations | undefined
  readonly loginTimeoutMs: number
  readonly logoutTypes: ReadonlySet<string | undefined>
  readonly clockToleranceSeconds: number
  readonly timeoutMs: number
  readonly allowInsecureLoopback: boolean
}

const KNOWN = [
  'issuer',
  'clientId',
  'clientSecret',
  'privateKey',
  'clientAuth',
  'redirectUri',
  'sessions',
  'store',
  'scope',
  'claims',
  'maxAgeSeconds',
  'acrValues',
  'returnTo',
  'postLogoutRedirectUri',
  'revocation',
  'loginTimeoutMs',
  'logoutTyp',
  'clockToleranceSeconds',
  'timeoutMs',
  'allowInsecureLoopback',
]
const PROTECTING = [
  'clientSecret',
  'privateKey',
  'clientAuth',
  'sessions',
  'store',
  'claims',
  'maxAgeSeconds',
  'revocation',
  'logoutTyp',
]
/** RFC 6749 section 3.3. */
const SCOPE = /^[!#-[\]-~]+(?: [!#-[\]-~]+)*$/
const NOTHING = () => ({})

/** @throws ConfigError naming option, rule and value, and never a secret */
export function prepareSso(options: SsoOptions): SsoRules {
  knownKeys('sso', options, KNOWN, PROTECTING)
  const { allowInsecureLoopback = false, returnTo = '/', logoutTyp = 'logout+jwt', acrValues = [] } = options
  const { scope = 'openid', sessions, revocation, maxAgeSeconds, postLogoutRedirectUri } = options
  const { claims = NOTHING, timeoutMs = 5_000 } = options
  const { loginTimeoutMs = 600_000, clockToleranceSeconds = 60 } = options
  const rules = { allowInsecureLoopback: boolean('sso.allowInsecureLoopback', allowInsecureLoopback) }
  const redirectUri = endpointUrl('sso.redirectUri', options.redirectUri, rules)
  if (redirectUri.includes('?'))
    throw new ConfigError('sso.redirectUri must have no query: what comes back stands there')
  const clientId = registered('sso.clientId', options.clientId)
  if (typeof scope !== 'string' || !SCOPE.test(scope) || !scope.split(' ').includes('openid'))
    throw new ConfigError(
      `sso.scope must be words with single spaces, and openid among them, got ${show(scope)}`,
    )
  if (!isLocalPath(returnTo))
    throw new ConfigError(`sso.returnTo must be a path of this host, such as '/start', got ${show(returnTo)}`)
  if (typeof (sessions as Partial<Sessions> | null)?.revokeSid !== 'function')
    throw new ConfigError(`sso.sessions must be what session({ store }) returned, got ${show(sessions)}`)
  if (
    revocation !== undefined &&
    typeof (revocation as Partial<Revocations> | null)?.revokeSubject !== 'function'
  )
    throw new ConfigError(`sso.revocation must be made by revocations({ store }), got ${show(revocation)}`)
  if (!Array.isArray(acrValues) || !acrValues.every((one) => typeof one === 'string' && /^[!-~]+$/.test(one)))
    throw new ConfigError(`sso.acrValues must list texts without spaces, got ${show(acrValues)}`)
  return {
    issuer: prepareIssuer(
      'sso',
      { issuer: options.issuer, audience: clientId },
      { ...rules, audience: undefined, maxStaleMs: 3_600_000 },
    ),
    clientId,
    client: prepareSsoClient(options),
    redirectUri,
    secure: redirectUri.startsWith('https:'),
    sessions,
    store: checkStore('sso.store', options.store, 'records') as SsoRules['store'],
    scope,
    claims: func('sso.claims', claims),
    maxAgeSeconds:
      maxAgeSeconds === undefined ? undefined : integer('sso.maxAgeSeconds', maxAgeSeconds, { min: 0 }),
    acrValues,
    returnTo,
    postLogoutRedirectUri:
      postLogoutRedirectUri === undefined
        ? undefined
        : endpointUrl('sso.postLogoutRedirectUri', postLogoutRedirectUri, rules),
    revocation,
    loginTimeoutMs: integer('sso.loginTimeoutMs', loginTimeoutMs, { min: 10_000, max: 3_600_000 }),
    logoutTypes: typesOf(logoutTyp),
    clockToleranceSeconds: integer('sso.clockToleranceSeconds', clockToleranceSeconds, {
      min: 0,
      max: 300,
    }),
    timeoutMs: integer('sso.timeoutMs', timeoutMs, { max: 60_000 }),
    allowInsecureLoopback,
  }
}

function typesOf(typ: unknown): ReadonlySet<string | undefined> {
  if (typ === false) return new Set([undefined, 'jwt', 'logout+jwt'])
  if (typeof typ === 'string' && typ !== '') return new Set([mediaType(typ)])
  throw new ConfigError(`sso.logoutTyp must be a media type such as 'logout+jwt', or false, got ${show(typ)}`)
}
