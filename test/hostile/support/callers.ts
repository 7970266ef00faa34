import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Secret, TOTP } from 'otpauth'
import { csrfToken } from '../../../src/access/csrf-token.js'
import { apiKey } from '../../../src/identity/api-key.js'
import { apiKeys } from '../../../src/identity/api-keys.js'
import { basic, type BasicUser } from '../../../src/identity/basic.js'
import { bearer } from '../../../src/identity/bearer.js'
import { introspection } from '../../../src/identity/introspection.js'
import { mtls, type MtlsOptions } from '../../../src/identity/mtls.js'
import { hashPassword } from '../../../src/identity/passwords.js'
import type { Revocation } from '../../../src/identity/revocation.js'
import { session } from '../../../src/identity/session.js'
import { sso, type SsoOptions } from '../../../src/identity/sso.js'
import { tokens, type TokensOptions } from '../../../src/identity/tokens.js'
import { totp, type TotpOptions } from '../../../src/identity/totp.js'
import { webauthn, type WebauthnOptions } from '../../../src/identity/webauthn.js'
import { asyncHandler } from '../../../src/kernel/async-handler.js'
import { contextOf, type Principal } from '../../../src/kernel/context.js'
import { memory } from '../../../src/kernel/memory.js'
import type { Store } from '../../../src/kernel/ports.js'
import { secureApi, type SecureApiOptions } from '../../../src/secure-api.js'
import { dpopClient, fakeClock, localIssuer } from '../../../src/testing/index.js'
import { sendJson, silent } from '../../support/api.js'
import { SoftPasskey } from '../../support/authenticator.js'
import { authority } from '../../support/certificates.js'
import { listen } from '../../support/raw.js'

export type Fields = Record<string, string>
export const ORIGIN = 'https://app.example.com'

const ca = authority('/CN=Partners')
const certificate = ca.issue('/CN=orders')
const opaque = 'an-opaque-token-that-only-the-issuer-knows'
const keyPair = generateKeyPairSync('ed25519')

/** What a request would bring, and what would be found if somebody repeated it. */
export interface Known {
  readonly fields: Fields
  readonly secrets: readonly string[]
}

/** Functions that an application may hand over, to those that know callers. */
export interface Hooks {
  readonly 'mtls.claims'?: MtlsOptions['claims']
  readonly 'basic.users'?: (name: string) => Promise<BasicUser | undefined>
  readonly 'tokens.renew'?: TokensOptions['renew']
  readonly 'totp.account'?: TotpOptions['account']
  readonly 'totp.verified'?: TotpOptions['verified']
  readonly 'webauthn.account'?: WebauthnOptions['account']
  readonly 'webauthn.attested'?: WebauthnOptions['attested']
  readonly 'webauthn.verified'?: WebauthnOptions['verified']
  readonly 'sso.claims'?: SsoOptions['claims']
  readonly 'revocation.check'?: Revocation['check']
  readonly 'bearer.keys'?: () => Promise<never>
}

/** An API that knows callers in every way there is, with all endpoints of the package mounted. */
export async function knowsEverybody(
  options: Partial<SecureApiOptions> = {},
  store?: Store,
  hooks: Hooks = {},
) {
  const clock = fakeClock(Math.floor(Date.now() / 1_000) * 1_000)
  const kept = store ?? memory({ clock })
  const issuer = localIssuer({ clock })
  const secrets = {
    pepper: randomBytes(32).toString('hex'),
    totpKey: randomBytes(32).toString('hex'),
    passkeyKey: randomBytes(32).toString('hex'),
    csrfSecret: randomBytes(32).toString('hex'),
    clientSecret: 'secret-of-the-shop-at-its-provider',
    introspectionSecret: 'secret-of-the-orders-at-its-issuer',
    password: 'correct-horse-battery-staple',
  }
  const hash = await hashPassword(secrets.password)
  const sessions = session({ store: kept, clock })
  const keySpace = { store: kept, pepper: secrets.pepper }
  const keys = apiKeys({ ...keySpace, clock })
  const own = tokens({
    issuer: 'https://own.test',
    audience: issuer.audience,
    store: kept,
    keys: [keyPair.privateKey],
    clock,
    ...given({ renew: hooks['tokens.renew'] }),
  })
  const factors = { store: kept, clock }
  const otp = totp({
    ...factors,
    key: secrets.totpKey,
    issuer: 'Acme',
    account: hooks['totp.account'] ?? (() => 'ann@example.com'),
    ...given({ verified: hooks['totp.verified'] }),
  })
  const passkeys = webauthn({
    ...factors,
    key: secrets.passkeyKey,
    rpId: 'example.com',
    rpName: 'Acme',
    origins: [ORIGIN],
    ...given({
      account: hooks['webauthn.account'],
      attested: hooks['webauthn.attested'],
      verified: hooks['webauthn.verified'],
    }),
  })
  const provider = {
    answer: (_nonce: string): Record<string, unknown> => ({}),
    nonce: '',
    said: opaqueAnswer,
  }
  const login = sso({
    issuer: PROVIDER,
    clientId: issuer.audience,
    clientSecret: secrets.clientSecret,
    redirectUri: `${ORIGIN}/callback`,
    sessions,
    store: kept,
    ...given({ claims: hooks['sso.claims'] }),
  })

  const fetch: typeof globalThis.fetch = (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    if (url === `${PROVIDER}/.well-known/openid-configuration`)
      return Promise.resolve(Response.json(metadataOf(PROVIDER)))
    if (url === `${PROVIDER}/token`)
      return Promise.resolve(
        Response.json({ access_token: 'x', token_type: 'bearer', ...provider.answer(provider.nonce) }),
      )
    if (url === `${PROVIDER}/jwks`) return Promise.resolve(Response.json(issuer.jwks))
    if (url === `${OPAQUE}/introspect`) {
      const form = init?.body
      const asked = new URLSearchParams(typeof form === 'string' ? form : '').get('token')
      return Promise.resolve(Response.json(asked === opaque ? provider.said(clock.now()) : { active: false }))
    }
    return issuer.fetch(input, init)
  }
  const dpop = { mode: 'allowed', baseUrls: [ORIGIN] } as const
  const api = secureApi({
    auth: [
      bearer({
        issuers: [
          { issuer: issuer.issuer, audience: issuer.audience },
          {
            issuer: own.issuer,
            audience: issuer.audience,
            keys: hooks['bearer.keys'] ?? own.bearerOptions.keys!,
          },
        ],
        revocation:
          hooks['revocation.check'] === undefined ? own.revocation : { check: hooks['revocation.check'] },
        certificate: 'Client-Cert',
        dpop,
      }),
      introspection({
        issuer: OPAQUE,
        endpoint: `${OPAQUE}/introspect`,
        audience: issuer.audience,
        clientId: 'orders',
        clientSecret: secrets.introspectionSecret,
      }),
      apiKey(keySpace),
      mtls({ ca: ca.cert, certificate: 'Client-Cert', ...given({ claims: hooks['mtls.claims'] }) }),
      basic({ users: hooks['basic.users'] ?? { ann: hash }, store: kept, allowInsecureLoopback: true }),
      sessions,
    ],
    csrf: { secret: secrets.csrfSecret },
    rateLimit: false,
    trustProxy: 1,
    clock,
    log: silent,
    fetch,
    ...options,
    routes: {
      ...Object.fromEntries(PUBLIC.map((route) => [route, { public: true as const }])),
      'GET /fresh': { stepUp: { maxAgeSeconds: 60, amr: ['otp'], acr: ['gold'] } },
      ...options.routes,
    },
  })

  const endpoints: Record<string, (req: IncomingMessage, res: ServerResponse, next: () => void) => void> = {
    '/login': asyncHandler(async (req, res) => {
      await sessions.login(req, res, { subject: 'ann', factors: ['pwd'], attachment: 'kept-for-the-browser' })
      sendJson(res, {})
    }),
    '/logout': asyncHandler(async (req, res) => {
      await sessions.logout(req, res)
      sendJson(res, {})
    }),
    '/csrf': (req, res) => sendJson(res, { csrf: csrfToken(req, res) }),
    '/issue': asyncHandler(async (req, res) => sendJson(res, await own.issue({ subject: 'ann' }, req))),
    '/token': own.token,
    '/refresh': own.refresh,
    '/revoke': own.revoke,
    '/sso/login': login.handlers.login,
    '/callback': login.handlers.callback,
    '/sso/out': login.handlers.backChannelLogout,
    '/sso/logout': login.handlers.logout,
    ...mounted('/totp', otp.handlers),
    ...mounted('/passkeys', passkeys.handlers),
  }
  let handled = 0
  let principal: Principal | undefined
  const app = api.protect((req, res) => {
    const endpoint = endpoints[req.url!.split('?')[0]!]
    if (endpoint !== undefined)
      return endpoint(req, res, (error?: unknown) => api.errors()(error, req, res, () => undefined))
    handled++
    principal = contextOf(req)?.principal
    sendJson(res, { ok: true })
  })
  const server = createServer(app)
  // Keys that cannot be had are nothing to wait for.
  await Promise.all([listen(server), hooks['bearer.keys'] === undefined ? api.ready() : undefined])

  const client = dpopClient({ clock })
  const { key } = await keys.create({ owner: 'partner', scopes: ['orders:read'] })
  const now = () => Math.floor(clock.now() / 1_000)
  const bound = () => issuer.mint({ cnf: { jkt: client.jkt } })
  /** Each way of being known: what to send for `GET /orders`, and what of it is a secret. */
  const ways: Record<string, () => Known> = {
    bearer: () => {
      const token = issuer.mint()
      return { fields: { Authorization: `Bearer ${token}` }, secrets: partsOf(token) }
    },
    introspection: () => ({ fields: { Authorization: `Bearer ${opaque}` }, secrets: [opaque] }),
    dpop: () => {
      const token = bound()
      const fields = client.fields('GET', `${ORIGIN}/orders`, token)
      return { fields, secrets: [...partsOf(token), ...partsOf(fields.DPoP)] }
    },
    apiKey: () => ({ fields: { 'X-API-Key': key }, secrets: [key, key.split('_')[2]!] }),
    mtls: () => ({ fields: { 'Client-Cert': certificateField(certificate.cert) }, secrets: [] }),
    basic: () => {
      const credentials = Buffer.from(`ann:${secrets.password}`).toString('base64')
      return { fields: { Authorization: `Basic ${credentials}` }, secrets: [credentials, secrets.password] }
    },
  }

  return {
    api,
    server,
    clock,
    issuer,
    store: kept,
    secrets: Object.values(secrets),
    sessions,
    keys,
    own,
    otp,
    client,
    provider,
    ways,
    now,
    handled: () => handled,
    /** Who was served last. */
    principal: () => principal,
    /** What an authenticator app shows. */
    code: (secret: string, steps = 0) =>
      new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: clock.now() + steps * 30_000 }),
    passkey: () => new SoftPasskey('example.com', ORIGIN),
    close: async () => {
      server.close()
      await api.close()
    },
  }
}

/** Without what is `undefined`. */
function given<O extends object>(options: O): { [N in keyof O]?: Exclude<O[N], undefined> } {
  const named = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(named) as { [N in keyof O]?: Exclude<O[N], undefined> }
}

export type Everybody = Awaited<ReturnType<typeof knowsEverybody>>

const PROVIDER = 'https://provider.test'
const OPAQUE = 'https://opaque.test'
const PUBLIC = [
  ...['POST /login', 'POST /issue', 'POST /token', 'POST /refresh', 'POST /revoke'],
  ...[
    'GET /sso/login',
    'GET /callback',
    'POST /sso/out',
    'POST /passkeys/loginOptions',
    'POST /passkeys/login',
  ],
]

function metadataOf(issuer: string): object {
  return {
    issuer,
    jwks_uri: `${issuer}/jwks`,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    id_token_signing_alg_values_supported: ['ES256'],
  }
}

function opaqueAnswer(nowMs: number): object {
  const iat = Math.floor(nowMs / 1_000)
  const names = { iss: OPAQUE, aud: localAudience, sub: 'ann', client_id: 'shop' }
  return { active: true, ...names, iat, exp: iat + 300 }
}
const localAudience = localIssuer().audience

function mounted<H extends object>(path: string, handlers: H) {
  return Object.fromEntries(
    Object.entries(handlers).map(([name, handler]) => [`${path}/${name}`, handler]),
  ) as Record<string, (req: IncomingMessage, res: ServerResponse, next: () => void) => void>
}

/** The head of a token only says how it was signed. */
export function partsOf(token: string): string[] {
  const [, payload, signature] = token.split('.')
  return [payload!, signature!]
}

/** RFC 9440 section 2.2. */
export function certificateField(pem: string): string {
  return `:${new X509Certificate(pem).raw.toString('base64')}:`
}
