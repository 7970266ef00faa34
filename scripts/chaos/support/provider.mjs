import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { localIssuer } from 'secure-api/testing'

export const AUDIENCE = 'https://orders.example'
const CLIENT = `Basic ${Buffer.from('svc:svc-secret-svc-secret').toString('base64')}`

/**
 * A real identity provider (oidc-provider) whose keys can be changed while it runs, and whose key endpoint can be made to
 * answer something else.
 */
export async function startProvider() {
  // It says on the console what it thinks of http and of this version of Node; neither is what a row measures.
  console.warn = console.info = () => undefined
  const { Provider } = await import('oidc-provider')
  let listener
  let fault
  let keyFetches = 0
  let server = await listenOn(0)
  const { port } = server.address()
  const issuer = `http://127.0.0.1:${port}`
  const minter = localIssuer({ issuer, audience: AUDIENCE })
  let current
  let made = 0

  async function listenOn(port) {
    const fresh = createServer((req, res) => {
      const forKeys = req.url === '/jwks'
      if (forKeys) keyFetches++
      if (fault !== undefined && forKeys) fault(req, res)
      else listener(req, res)
    }).listen(port, '127.0.0.1')
    await once(fresh, 'listening')
    return fresh
  }

  const provider = {
    issuer,
    keyFetches: () => keyFetches,
    /** Publishes a new key, which signs from now on, beside the one before. */
    rotate() {
      const previous = current
      current = newKey(`key-${++made}`)
      listener = listenerOf(Provider, issuer, [current, ...(previous ? [previous] : [])])
    },
    /** A token by the protocol, from the endpoint. */
    async token() {
      const reply = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: CLIENT },
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          scope: 'orders:read',
          resource: AUDIENCE,
        }),
      })
      return (await reply.json()).access_token
    },
    /** A token like those, made here with the provider's key: many of them in no time. */
    mint: (header = {}, key = current) =>
      minter.mint({}, { key: createPrivateKey({ key, format: 'jwk' }), header: { kid: key.kid, ...header } }),
    currentKey: () => current,
    /** What the key endpoint does instead of answering; `undefined` mends it. */
    breakKeys: (how) => void (fault = how),
    /** Nothing listens any more. */
    async down() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
    async up() {
      server = await listenOn(port)
    },
  }
  provider.rotate()
  return provider
}

export function newKey(kid) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }
}

function listenerOf(Provider, issuer, keys) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: 'svc',
        client_secret: 'svc-secret-svc-secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_basic',
        scope: 'orders:read',
      },
    ],
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    scopes: ['openid', 'offline_access', 'orders:read'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, audience) => ({
          scope: 'orders:read',
          audience,
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  })
  return provider.callback()
}
