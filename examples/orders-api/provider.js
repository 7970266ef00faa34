// An identity provider inside this process, so that the example has real tokens. Yours is Auth0, Entra, Keycloak, ...
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'

const { Provider } = await importQuietly()

/** Who this API is, in tokens, and where clients reach it. */
export const AUDIENCE = 'https://orders.example.com'

/** Programs that may get a token, and what the provider says about them. */
const CLIENTS = {
  visitor: { roles: [] },
  clerk: { roles: ['clerk'] },
  trainee: { roles: ['clerk'] },
  manager: { roles: ['manager'] },
  admin: { roles: ['admin'] },
  billing: { roles: ['clerk'], permissions: ['cards:read', 'orders:read-any'] },
  treasurer: { roles: ['treasurer'], amr: ['pwd', 'otp'] },
}

/** People who may log in, each with any password, and what the provider says about them. */
const USERS = {
  tess: { name: 'Tess', roles: ['treasurer'] },
  carl: { name: 'Carl', roles: ['clerk'] },
  vic: { name: 'Vic', roles: [] },
}

const TOKEN_SECONDS = 3_600
/** What the provider keeps for as long. */
const KEPT = ['ClientCredentials', 'AccessToken', 'IdToken', 'Interaction', 'Session', 'Grant']

/**
 * Starts the provider on a free port of this machine.
 * @param {string} app where browsers reach the API that its users log in to
 */
export async function startProvider(app) {
  const secrets = Object.fromEntries([...Object.keys(CLIENTS), 'orders'].map((name) => [name, secret()]))
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const signingKey = { ...privateKey.export({ format: 'jwk' }), kid: secret(), use: 'sig', alg: 'RS256' }

  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${server.address().port}`

  const programs = Object.keys(CLIENTS).map((client_id) => ({
    client_id,
    client_secret: secrets[client_id],
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  }))
  /** What the API is registered as, for `sso()`. */
  const login = {
    client_id: 'orders',
    client_secret: secrets.orders,
    redirect_uris: [`${app}/callback`],
    post_logout_redirect_uris: [`${app}/`],
    backchannel_logout_uri: `${app}/logged-out`,
    backchannel_logout_session_required: true,
  }

  const provider = new Provider(issuer, {
    jwks: { keys: [signingKey] },
    clients: [...programs, login],
    findAccount: (_ctx, id) => USERS[id] && { accountId: id, claims: () => ({ sub: id, ...USERS[id] }) },
    claims: { openid: ['sub'], profile: ['name', 'roles'] },
    conformIdTokenClaims: false,
    features: {
      clientCredentials: { enabled: true },
      // Pages to log in, which take any password.
      devInteractions: { enabled: true },
      backchannelLogout: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: '',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: TOKEN_SECONDS,
        }),
      },
    },
    extraTokenClaims(_ctx, { clientId }) {
      const claims = CLIENTS[clientId]
      // Your provider says when and how a user logged in; here, whoever has shown two factors did so just now.
      return claims?.amr === undefined ? claims : { ...claims, auth_time: Math.floor(Date.now() / 1000) }
    },
    ttl: Object.fromEntries(KEPT.map((kind) => [kind, TOKEN_SECONDS])),
    cookies: { keys: [secret()] },
    // By itself it calls nobody on its own network, which here everybody is on.
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
  })
  server.on('request', provider.callback())

  /** Asks for a token as any client does: the client credentials grant of RFC 6749 section 4.4. */
  async function token(client, resource = AUDIENCE, fields = {}) {
    const reply = await fetch(`${issuer}/token`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${Buffer.from(`${client}:${secrets[client]}`).toString('base64')}`,
        ...fields,
      },
      body: new URLSearchParams({ grant_type: 'client_credentials', resource }),
    })
    if (!reply.ok) throw new Error(`${client} got no token: ${reply.status} ${await reply.text()}`)
    return (await reply.json()).access_token
  }

  function close() {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }

  const client = { clientId: login.client_id, clientSecret: login.client_secret }
  return { issuer, client, token, close, privateKey, keyId: signingKey.kid }
}

/** One real token of each client, and one for another API. */
export async function tokensOf(provider) {
  const clients = Object.keys(CLIENTS)
  const tokens = await Promise.all(clients.map((client) => provider.token(client)))
  return {
    ...Object.fromEntries(clients.map((client, i) => [client, tokens[i]])),
    elsewhere: await provider.token('admin', 'https://elsewhere.example.com'),
  }
}

function secret() {
  return randomBytes(24).toString('base64url')
}

/** oidc-provider 9 works on Node 20, and says on import that it does not support it. Only that is kept quiet. */
async function importQuietly() {
  const { warn } = console
  console.warn = (...message) => {
    if (!String(message[0]).includes('Unsupported runtime')) warn(...message)
  }
  try {
    return await import('oidc-provider')
  } finally {
    console.warn = warn
  }
}
