import { createHash, X509Certificate } from 'node:crypto'
import type { IncomingMessage, RequestListener } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { auth } from '../../src/identity/auth.js'
import { bearer } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import { mtls } from '../../src/identity/mtls.js'
import { compile } from '../../src/kernel/compile.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { createServices } from '../../src/kernel/services.js'
import type { StageMiddleware } from '../../src/kernel/stage.js'
import { silent } from '../support/api.js'
import { authority, selfSigned, type Issued } from '../support/certificates.js'
import { API_SECRET, AUDIENCE, signingKey, tokensForApis } from '../support/provider.js'
import { quietConsole } from '../support/quiet-console.js'
import { fetchBy, listenTls } from '../support/tls.js'

const web = authority('/CN=Web CA')
const partners = authority('/O=Acme/CN=Acme Partners CA')
const here = web.issue('/CN=localhost', { extensions: ['subjectAltName=IP:127.0.0.1'] })
const partner = partners.issue('/C=DE/O=Partner/CN=orders')
/** Another certificate of the same name and authority: what a thief who is a partner too has. */
const other = partners.issue('/C=DE/O=Partner/CN=orders')
const alone = selfSigned('/C=DE/O=Partner/CN=orders')

const thumbprint = ({ cert }: Issued) =>
  createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url')

let provider: Awaited<ReturnType<typeof startProvider>>
let closing: (() => Promise<void>)[] = []

quietConsole()
beforeAll(async () => {
  provider = await startProvider()
})
afterEach(async () => {
  for (const close of closing) await close()
  closing = []
})
afterAll(() => provider.close())

interface Asked {
  readonly req: IncomingMessage
}

/** A real provider over TLS, to which clients prove themselves by their certificates (RFC 8705 section 2). */
async function startProvider() {
  const { Provider } = await import('oidc-provider')
  const by: { listener?: RequestListener } = {}
  const { origin: issuer, close } = await listenTls(here, [partners.cert], (req, res) =>
    by.listener!(req, res),
  )
  const shown = ({ req }: Asked) => (req.socket as unknown as TLSSocket).getPeerX509Certificate()
  const client = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
  const mint = (accessTokenFormat: 'jwt' | 'opaque') => {
    const made = new Provider(issuer, {
      jwks: { keys: [signingKey('first', 'ES256')] },
      enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      scopes: ['openid', 'orders:read'],
      clientAuthMethods: ['tls_client_auth', 'client_secret_basic'],
      clients: [
        {
          ...client,
          client_id: 'partner',
          token_endpoint_auth_method: 'tls_client_auth',
          tls_client_auth_subject_dn: 'CN=orders,O=Partner,C=DE',
          tls_client_certificate_bound_access_tokens: true,
          scope: 'orders:read',
        },
        {
          ...client,
          client_id: 'api',
          client_secret: API_SECRET,
          token_endpoint_auth_method: 'client_secret_basic',
        },
      ],
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        introspection: { enabled: true, allowedPolicy: () => true },
        mTLS: {
          enabled: true,
          certificateBoundAccessTokens: true,
          tlsClientAuth: true,
          getCertificate: (ctx: Asked) => shown(ctx)?.toString(),
          certificateAuthorized: ({ req }: Asked) => (req.socket as unknown as TLSSocket).authorized,
          certificateSubjectMatches: (ctx: Asked, _property: string, expected: string) =>
            shown(ctx)?.subject.split('\n').reverse().join() === expected,
        },
        resourceIndicators: tokensForApis('ES256', () => accessTokenFormat),
      },
    })
    by.listener = made.callback()
  }
  return {
    issuer,
    mint,
    close,
    /** What the token endpoint answers a client with this certificate. */
    async token(client: Issued | undefined) {
      const form = { grant_type: 'client_credentials', client_id: 'partner', scope: 'orders:read' }
      const body = new URLSearchParams({ ...form, resource: AUDIENCE }).toString()
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const reply = await fetchBy(web.cert, client)(`${issuer}/token`, { method: 'POST', headers, body })
      return (await reply.json()) as { access_token: string; error?: string }
    },
  }
}

/** An API over TLS. */
async function start(method: StageMiddleware) {
  let principal: Principal | undefined
  const services = createServices({ log: silent, fetch: fetchBy(web.cert) })
  const guard = compile([method.stage], { services })
  let handled = 0
  const api = await listenTls(here, [partners.cert], (req, res) => {
    principal = undefined
    guard(req, res, () => {
      handled++
      principal = contextOf(req)?.principal
      res.end()
    })
  })
  closing.push(api.close, async () => method.stage.close?.())
  const send = async (client: Issued | undefined, token: string) => {
    const headers = { authorization: `Bearer ${token}` }
    const reply = await fetchBy(web.cert, client)(api.origin, { headers })
    return { status: reply.status, challenge: reply.headers.get('www-authenticate') ?? '' }
  }
  return { send, handled: () => handled, principal: () => principal }
}

const trust = () => ({ issuer: provider.issuer, audience: AUDIENCE, certificateBound: true })
const methods = {
  jwt: () => bearer(trust()),
  opaque: () => introspection({ ...trust(), clientId: 'api', clientSecret: API_SECRET }),
}

describe.each(['jwt', 'opaque'] as const)('a real provider binds a token to a certificate (%s)', (format) => {
  beforeEach(() => provider.mint(format))

  test('who shows it gets in, and nobody else (RFC 8705 section 3)', async () => {
    const { send, handled, principal } = await start(methods[format]())
    const { access_token: token } = await provider.token(partner)

    expect((await send(partner, token)).status).toBe(200)
    expect(principal()).toMatchObject({
      subject: 'partner',
      bound: ['mtls'],
      claims: { cnf: { 'x5t#S256': thumbprint(partner) } },
    })
    expect((await send(partner, token)).status).toBe(200)
    expect(handled()).toBe(2)

    for (const thief of [other, alone, undefined]) {
      const { status, challenge } = await send(thief, token)
      expect(status).toBe(401)
      expect(challenge).toContain('error="invalid_token"')
    }
    expect(handled()).toBe(2)
  })

  test('together with the certificate itself as a second method', async () => {
    const { send, handled } = await start(auth({ all: [methods[format](), mtls({ ca: partners.cert })] }))
    const { access_token: token } = await provider.token(partner)
    expect((await send(partner, token)).status).toBe(200)
    expect((await send(other, token)).status).toBe(401)
    expect(handled()).toBe(1)
  })
})

test('the provider gives nothing to who shows another certificate, or none', async () => {
  for (const client of [alone, undefined]) expect((await provider.token(client)).error).toBe('invalid_client')
})
