import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../src/kernel/system-clock.js'
import type { FakeClock } from '../../src/testing/index.js'

export const AUDIENCE = 'https://orders.example'

const makers = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
}
export type Algorithm = keyof typeof makers
export type Provider = Awaited<ReturnType<typeof startProvider>>

export function signingKey(kid: string, alg: Algorithm): JsonWebKey {
  return { ...makers[alg]().privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
}

/** The feature of the provider by which tokens are for an API, which is ours unless another one is asked for. */
export const tokensForApis = (
  alg: Algorithm,
  format: () => 'jwt' | 'opaque',
  scope = 'orders:read',
): object => ({
  enabled: true,
  defaultResource: () => AUDIENCE,
  useGrantedResource: () => true,
  getResourceServerInfo: (_ctx: unknown, audience: string) => ({
    scope,
    audience,
    accessTokenTTL: 300,
    accessTokenFormat: format(),
    jwt: { sign: { alg } },
  }),
})

/** The client that gets tokens, and the API that asks about them, by a password or by a key of its own. */
const SECRET = 'svc-secret-svc-secret'
export const API_SECRET = 'api secret/with+odd:characters'
const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`

/**
 * A real identity provider on this machine, whose keys can be changed while it runs, and which can be stopped and started.
 *
 * @param prefix what its opaque tokens start with
 */
export async function startProvider(alg: Algorithm = 'RS256', apiKey?: object, prefix = '') {
  const { Provider } = await import('oidc-provider')
  let listener: RequestListener
  let asked = 0
  let introspected = 0
  let server: Server
  const broken = new Map<string, RequestListener>()
  const listen = async (port: number) => {
    server = createServer((req, res) => {
      if (req.url === '/jwks' || req.url?.startsWith('/.well-known/')) asked++
      if (req.url === '/token/introspection') introspected++
      const fault = broken.get(req.url!)
      if (fault !== undefined) return fault(req, res)
      if (req.url === '/keys-of-the-api')
        return void res.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [apiKey] }))
      listener(req, res)
    })
    await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening))
    return (server.address() as AddressInfo).port
  }
  const port = await listen(0)
  const issuer = `http://127.0.0.1:${port}`

  const signWith = (keys: JsonWebKey[], accessTokenFormat: 'jwt' | 'opaque' = 'jwt') => {
    const client = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
    const provider = new Provider(issuer, {
      jwks: { keys },
      clients: [
        {
          ...client,
          client_id: 'svc',
          client_secret: SECRET,
          token_endpoint_auth_method: 'client_secret_basic',
          scope: 'orders:read orders:write',
        },
        {
          ...client,
          client_id: 'api',
          client_secret: API_SECRET,
          token_endpoint_auth_method: 'client_secret_basic',
        },
        ...(apiKey === undefined
          ? []
          : [
              {
                ...client,
                client_id: 'api-key',
                token_endpoint_auth_method: 'private_key_jwt',
                jwks_uri: `${issuer}/keys-of-the-api`,
              },
            ]),
      ],
      enabledJWA: { idTokenSigningAlgValues: [alg] },
      clientDefaults: { id_token_signed_response_alg: alg },
      scopes: ['openid', 'offline_access', 'orders:read', 'orders:write'],
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        introspection: { enabled: true, allowedPolicy: () => true },
        revocation: { enabled: true },
        dPoP: { enabled: true },
        resourceIndicators: tokensForApis(alg, () => accessTokenFormat, 'orders:read orders:write'),
      },
    })
    const { ClientCredentials } = provider as unknown as {
      ClientCredentials: { prototype: { generateTokenId(): string } }
    }
    const { prototype } = ClientCredentials
    const random = prototype.generateTokenId
    prototype.generateTokenId = function () {
      return prefix + random.call(this)
    }
    listener = provider.callback()
  }
  signWith([signingKey('first', alg)])

  const post = (path: string, form: Record<string, string>, fields: Record<string, string> = {}) =>
    fetch(`${issuer}${path}`, {
      method: 'POST',
      headers: { authorization: basic('svc', SECRET), ...fields },
      body: new URLSearchParams(form),
    })

  /** What `bearer` of an API has to know of it, and `introspection` as the client that the API is. */
  const trust = { issuer, audience: AUDIENCE, allowInsecureLoopback: true }
  return {
    issuer,
    trust,
    trustAsClient: { ...trust, clientId: 'api', clientSecret: API_SECRET },
    signWith,
    /** How often metadata and keys were asked for. */
    asked: () => asked,
    introspected: () => introspected,
    /** @param fields header fields of the request, such as a DPoP proof */
    async token(resource = AUDIENCE, fields: Record<string, string> = {}): Promise<string> {
      const form = { grant_type: 'client_credentials', scope: 'orders:read', resource }
      const reply = await post('/token', form, fields)
      return ((await reply.json()) as { access_token: string }).access_token
    },
    /** What is answered at a path instead of the truth; `undefined` mends it. */
    breakAt: (path: string, fault: RequestListener | undefined) =>
      fault === undefined ? void broken.delete(path) : void broken.set(path, fault),
    revoke: (token: string) => post('/token/revocation', { token }),
    close: () =>
      new Promise<void>((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
    /** After `close`: at the same place again. */
    reopen: () => listen(port),
  }
}

/** The system's clock, further when it is told to. */
export function shiftedClock(): FakeClock {
  let shift = 0
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() + shift,
    after: systemClock.after,
    advance: (ms) => void (shift += ms),
    jump: () => undefined,
  }
}
