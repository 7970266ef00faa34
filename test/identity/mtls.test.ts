import { createHash, X509Certificate } from 'node:crypto'
import { Agent, createServer, request, type RequestOptions } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { csrf } from '../../src/access/csrf.js'
import { auth } from '../../src/identity/auth.js'
import { bearer, type BearerOptions } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import { mtls, type MtlsOptions } from '../../src/identity/mtls.js'
import { resourceMetadata } from '../../src/identity/resource-metadata.js'
import { compile } from '../../src/kernel/compile.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { respond, type Respond } from '../../src/kernel/respond.js'
import { createServices } from '../../src/kernel/services.js'
import type { Middleware, StageMiddleware } from '../../src/kernel/stage.js'
import { dpopClient, fakeClock, localIssuer, serve, type ServeOptions } from '../../src/testing/index.js'
import { silent, testApi } from '../support/api.js'
import { sendRaw } from '../support/raw.js'
import { authority, renewed, selfSigned, type Issued } from '../support/certificates.js'

const acme = authority('/O=Acme, Inc/CN=Acme Partners CA')
const twin = authority('/O=Acme, Inc/CN=Acme Partners CA')
const public_ = authority('/CN=Everybody CA')
const here = public_.issue('/CN=localhost', { extensions: ['subjectAltName=DNS:localhost'] })
const partner = acme.issue('/C=DE/O=Partner/CN=orders', {
  extensions: ['subjectAltName=URI:spiffe://acme/partner,DNS:partner.example', 'extendedKeyUsage=clientAuth'],
})
const stranger = public_.issue('/C=DE/O=Partner/CN=orders')
const forged = twin.issue('/C=DE/O=Partner/CN=orders')
const alone = selfSigned('/CN=alone')
const web = acme.issue('/CN=web', { extensions: ['extendedKeyUsage=serverAuth'] })
const weak = acme.issue('/CN=weak', { rsaBits: 1024 })
const curved = acme.issue('/CN=weak', { curve: 'secp112r1' })
const nameless = acme.issue('/', { extensions: ['subjectAltName=critical,URI:spiffe://acme/nameless'] })

/** Nobody vouches for it, and in a comment it has the certificate of somebody else, as text. */
const stuffed = selfSigned('/CN=stuffed', [
  `1.2.3.4=ASN1:FORMAT:HEX,OCTETSTRING:${Buffer.from(`\n${partner.cert.trim()}\n`).toString('hex')}`,
])

const x5t = ({ cert }: Issued) =>
  createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url')
const der = ({ cert }: Issued) => Buffer.from(cert.replace(/-----[^-]+-----|\s/g, ''), 'base64')
const field = (one: Issued) => `:${der(one).toString('base64')}:`
const envoy = ({ cert }: Issued) => `Hash=00;Cert="${encodeURIComponent(cert)}";Subject="CN=x";URI=spiffe://x`

const clock = fakeClock(Date.now())
const issuer = localIssuer({ clock })
const own = (more: Partial<BearerOptions> = {}) =>
  bearer({ issuer: issuer.issuer, audience: issuer.audience, ...more })
const partners = (more: Partial<MtlsOptions> = {}) => mtls({ ca: acme.cert, ...more })
const boundTo = (one: Issued, more: object = {}) => issuer.mint({ cnf: { 'x5t#S256': x5t(one), ...more } })

let principal: Principal | undefined
let rule: string | undefined
let handled = 0
let resumed = false
let running: (() => Promise<void>)[] = []

/** Answers as ever, and notes why. */
const noting: Respond = (ctx, problem) => {
  rule = problem.rule
  respond(ctx, problem)
}

/** Serves a stage over real TLS, where clients may show a certificate. */
async function overTls(stage: StageMiddleware | Middleware) {
  const services = createServices({ clock, log: silent, fetch: issuer.fetch, respond: noting })
  const guarded = 'stage' in stage ? compile([stage.stage], { services }) : stage
  const tls = { ...here, ca: [acme.cert, public_.cert], requestCert: true, rejectUnauthorized: false }
  const server = createServer(tls, (req: IncomingMessage, res: ServerResponse) => {
    principal = undefined
    resumed = (req.socket as Partial<TLSSocket>).isSessionReused?.() === true
    guarded(req, res, () => {
      handled++
      principal = contextOf(req)?.principal
      res.end()
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  running.push(
    () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  )
  const { port } = server.address() as AddressInfo
  return (client?: Issued, more: RequestOptions = {}) =>
    new Promise<{ status: number; challenge: unknown; body: string }>((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port,
        path: '/orders',
        servername: 'localhost',
        ca: public_.cert,
        agent: false as const,
      }
      const sent = request({ ...options, ...client, ...more }, (res) => {
        let body = ''
        res.on('data', (chunk) => (body += String(chunk)))
        res.on('end', () =>
          resolve({ status: res.statusCode!, challenge: res.headers['www-authenticate'], body }),
        )
      })
      sent.on('error', reject)
      sent.end()
    })
}

beforeEach(() => {
  handled = 0
  rule = undefined
})
afterEach(async () => {
  for (const close of running) await close()
  running = []
})

describe('over TLS', () => {
  test('a client is known by its certificate', async () => {
    const ask = await overTls(
      partners({ claims: ({ subject }) => ({ roles: subject.includes('O=Partner') ? ['partner'] : [] }) }),
    )
    expect((await ask(partner)).status).toBe(200)
    const dn = 'CN=Acme Partners CA,O=Acme\\, Inc'
    expect(principal).toMatchObject({
      id: `x509:${encodeURIComponent(dn)} CN=orders,O=Partner,C=DE`,
      subject: 'CN=orders,O=Partner,C=DE',
      issuer: `x509:${encodeURIComponent(dn)}`,
      method: 'mtls',
      bound: ['mtls'],
      claims: { roles: ['partner'], subject_dn: 'CN=orders,O=Partner,C=DE', 'x5t#S256': x5t(partner) },
    })
    expect(principal!.id.split(' ', 1)).toEqual([principal!.issuer])
    expect(principal!.issuedAt! * 1000).toBe(Date.parse(new X509Certificate(partner.cert).validFrom))
    expect(principal!.expiresAt! * 1000).toBe(Date.parse(new X509Certificate(acme.cert).validTo))
    expect(Object.isFrozen(principal!.claims)).toBe(true)
  })

  test('what is said about it is copied; what is no object is 500', async () => {
    const table = { roles: ['partner'] }
    const ask = await overTls(partners({ claims: () => table }))
    expect((await ask(partner)).status).toBe(200)
    expect(principal?.claims.roles).toEqual(['partner'])
    expect(Object.isFrozen(table.roles)).toBe(false)

    const claims: unknown[] = [7, 'partner', Promise.reject(new Error('late')), { roles: () => [] }]
    for (const said of claims) {
      const broken = await overTls(partners({ claims: () => said as object as Record<string, unknown> }))
      expect((await broken(partner)).status).toBe(500)
    }
    expect(handled).toBe(1)
  })

  test('also where the session is resumed, and on a connection that stays', async () => {
    const ask = await overTls(partners())
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 })
      for (const again of [false, true]) {
        expect((await ask(partner, { agent, maxVersion })).status).toBe(200)
        expect(resumed).toBe(again)
      }
      expect((await ask(stranger, { agent, maxVersion })).status).toBe(401)
      agent.destroy()
    }
    const kept = new Agent({ keepAlive: true })
    for (let n = 0; n < 3; n++) expect((await ask(partner, { agent: kept })).status).toBe(200)
    kept.destroy()
    expect(handled).toBe(7)
  })

  test.each<[string, Issued, string]>([
    ['of an authority that only TLS trusts', stranger, 'certificate-untrusted'],
    ['that nobody vouches for', alone, 'certificate-untrusted'],
    ['of an authority that is only called the same', forged, 'certificate-untrusted'],
    ['for servers', web, 'certificate-untrusted'],
    ['of the authority itself', acme, 'certificate-purpose'],
  ])('a certificate %s is refused (ASVS 12.1.3)', async (_what, client, why) => {
    const ask = await overTls(partners())
    const { status, challenge, body } = await ask(client)
    expect(status).toBe(401)
    expect(JSON.parse(body)).toMatchObject({
      code: 'invalid-certificate',
      detail: 'The client certificate is not accepted',
    })
    expect(challenge).toBe(
      'ClientCertificate realm="api", error="invalid_certificate", error_description="The client certificate is not accepted"',
    )
    expect(rule).toBe(why)
    expect(handled).toBe(0)
  })

  test('what TLS has found wrong since counts, as in a certificate that was shown in a renegotiation', async () => {
    let wrong: unknown = null
    const stage = partners()
    const ask = await overTls((req, res, next) => {
      // As Node leaves it behind a second handshake: https://github.com/nodejs/node/blob/v20.20.0/lib/_tls_wrap.js (onServerSocketSecure)
      Object.assign(req.socket, { authorizationError: wrong })
      stage(req, res, next)
    })
    expect((await ask(partner)).status).toBe(200)
    wrong = 'CERT_REVOKED'
    expect((await ask(partner)).status).toBe(401)
    expect(handled).toBe(1)
  })

  test('no certificate is 401, and so is what a client writes into a field', async () => {
    const ask = await overTls(partners())
    const { status, challenge, body } = await ask(undefined, { headers: { 'Client-Cert': field(partner) } })
    expect(status).toBe(401)
    expect(challenge).toBe('ClientCertificate realm="api"')
    expect(JSON.parse(body)).toMatchObject({ code: 'unauthenticated' })
    expect(handled).toBe(0)
  })

  test('only in its time', async () => {
    const ask = await overTls(partners())
    for (const [days, why] of [
      [3_651, 'certificate-expired'],
      [-2, 'certificate-not-yet-valid'],
    ] as const) {
      clock.jump(days * 86_400_000)
      expect((await ask(partner)).status).toBe(401)
      expect(rule).toBe(why)
      clock.jump(-days * 86_400_000)
    }
    expect((await ask(partner)).status).toBe(200)
  })

  test('also if its authority is listed with its old certificate and its new one', async () => {
    const short = renewed(acme, 10)
    const day = 86_400_000
    for (const ca of [
      [short.cert, acme.cert],
      [acme.cert, short.cert],
    ]) {
      const ask = await overTls(partners({ ca }))
      expect((await ask(partner)).status).toBe(200)
      clock.jump(20 * day)
      expect((await ask(partner)).status).toBe(200)
      expect(principal?.expiresAt).toBe(Date.parse(new X509Certificate(acme.cert).validTo) / 1000)
      clock.jump(4_000 * day)
      expect((await ask(partner)).status).toBe(401)
      expect(rule).toBe('certificate-expired')
      clock.jump(-4_030 * day)
      expect((await ask(partner)).status).toBe(401)
      expect(rule).toBe('certificate-not-yet-valid')
      clock.jump(10 * day)
    }
  })

  test('a certificate that names its holder by subjectAltName alone is as good', async () => {
    const ask = await overTls(partners({ identity: 'uri' }))
    expect((await ask(nameless)).status).toBe(200)
    expect(principal).toMatchObject({ subject: 'spiffe://acme/nameless', claims: { subject_dn: '' } })
    const named = await overTls(partners())
    expect((await named(nameless)).status).toBe(401)
    expect(rule).toBe('certificate-name')
  })

  test('a page of another site cannot act by it, also where mtls stands alone; a machine can', async () => {
    const { api } = testApi({ auth: [partners()], clock, respond: noting })
    const evil = { Origin: 'https://evil.example' }
    for (const stage of [api, auth([partners()]), partners()]) {
      const ask = await overTls((req, res, next) =>
        stage(req, res, () => (stage === api ? next() : csrf()(req, res, next))),
      )
      const post = async (headers: Record<string, string>) =>
        (await ask(partner, { method: 'POST', headers })).status
      expect(await post({})).toBe(200)
      expect(await post({ 'Sec-Fetch-Site': 'same-origin' })).toBe(200)
      const safari = { 'User-Agent': 'Mozilla/5.0 Safari/604.1' }
      for (const headers of [evil, { 'Sec-Fetch-Site': 'cross-site' }, { Origin: 'null' }, safari])
        expect(await post(headers)).toBe(403)
      expect((await ask(partner, { headers: evil })).status).toBe(200)
    }
    expect(handled).toBe(9)
    await api.close()
  })

  test.each<[Partial<MtlsOptions>, number, string | undefined]>([
    [{ identity: 'uri' }, 200, 'spiffe://acme/partner'],
    [{ identity: 'dns', allow: ['partner.example'] }, 200, 'partner.example'],
    [{ identity: 'dns', allow: ['other.example'] }, 401, 'certificate-not-allowed'],
    [{ identity: 'email' }, 401, 'certificate-name'],
  ])('named as %j says: %i', async (options, status, expected) => {
    const ask = await overTls(partners(options))
    expect((await ask(partner)).status).toBe(status)
    expect(status === 200 ? principal?.subject : rule).toBe(expected)
  })
})

describe('a token that is bound to a certificate (ASVS 10.3.5)', () => {
  const asked = (token: string, scheme = 'Bearer') => ({ headers: { Authorization: `${scheme} ${token}` } })

  test('is good for who shows it, whoever issued it, and for nobody else', async () => {
    const ask = await overTls(own())
    const token = boundTo(alone)
    expect((await ask(alone, asked(token))).status).toBe(200)
    expect(principal).toMatchObject({ method: 'bearer', subject: 'user-1', bound: ['mtls'] })
    expect((await ask(undefined, asked(token))).status).toBe(401)
    expect(rule).toBe('certificate-missing')
    const { status, challenge } = await ask(partner, asked(token))
    expect(status).toBe(401)
    expect(rule).toBe('certificate-binding')
    expect(challenge).toContain(
      'error="invalid_token", error_description="The access token is bound to another client certificate"',
    )
    expect((await ask(undefined, asked(issuer.mint()))).status).toBe(200)
    expect(handled).toBe(2)
  })

  test('is refused without TLS', async () => {
    const { get, handled: served } = serve(own(), { clock, fetch: issuer.fetch })
    await get('/')
      .set('Authorization', `Bearer ${boundTo(partner)}`)
      .set('Client-Cert', field(partner))
      .expect(401)
    expect(served()).toBe(0)
  })

  test('may be required, and bound to a key as well', async () => {
    const ask = await overTls(own({ certificateBound: true, dpop: { baseUrls: 'https://api.test' } }))
    expect((await ask(partner, asked(issuer.mint()))).status).toBe(401)
    expect(rule).toBe('token-unbound')
    const client = dpopClient({ clock })
    const both = boundTo(partner, { jkt: client.jkt })
    const fields = () => ({ headers: client.fields('GET', 'https://api.test/orders', both) })
    expect((await ask(partner, fields())).status).toBe(200)
    expect(principal?.bound).toEqual(['dpop', 'mtls'])
    expect((await ask(stranger, fields())).status).toBe(401)
    expect((await ask(partner, asked(both))).status).toBe(401)
    expect(rule).toBe('token-bound')
    expect(handled).toBe(1)
  })

  test('also where its issuer is asked about it', async () => {
    const iat = Math.floor(clock.now() / 1000)
    const said = {
      active: true,
      aud: 'orders',
      sub: 'u',
      iat,
      exp: iat + 300,
      cnf: { 'x5t#S256': x5t(partner) },
    }
    const opaque = introspection({
      issuer: 'https://opaque.test',
      endpoint: 'https://opaque.test/introspect',
      audience: 'orders',
      clientId: 'orders',
      clientSecret: 'secret-of-the-orders-api',
      certificate: 'Client-Cert',
    })
    const { get } = serve(opaque, { clock, trustProxy: 1, fetch: () => Promise.resolve(Response.json(said)) })
    const ask = (one: Issued) => get('/').set('Authorization', 'Bearer opaque').set('Client-Cert', field(one))
    await ask(partner).expect(200)
    await ask(stranger).expect(401)
    await get('/').set('Authorization', 'Bearer opaque').expect(401)
  })

  test('the metadata of the resource says so', async () => {
    const { get } = serve(
      resourceMetadata({ auth: [own({ resource: 'https://api.test', certificateBound: true })] }),
    )
    const { body } = await get('/.well-known/oauth-protected-resource').expect(200)
    expect(body).toMatchObject({ tls_client_certificate_bound_access_tokens: true })
  })
})

describe('beside other methods', () => {
  test('a token that is sent on purpose decides alone', async () => {
    const ask = await overTls(auth([partners(), own()]))
    expect((await ask(partner)).status).toBe(200)
    expect(principal?.method).toBe('mtls')
    expect((await ask(partner, { headers: { Authorization: `Bearer ${issuer.mint()}` } })).status).toBe(200)
    expect(principal?.method).toBe('bearer')
    expect((await ask(partner, { headers: { Authorization: 'Bearer bad' } })).status).toBe(401)
    expect((await ask(alone, { headers: { Authorization: `Bearer ${issuer.mint()}` } })).status).toBe(200)
    expect((await ask(alone)).status).toBe(401)
    expect(handled).toBe(3)
  })

  test('both may be asked for; certificates live long, and may', async () => {
    const ask = await overTls(
      auth({ all: [partners(), own()], maxLifetimeSeconds: 300, maxBoundLifetimeSeconds: 4_000 * 86_400 }),
    )
    const token = { headers: { Authorization: `Bearer ${issuer.mint()}` } }
    expect((await ask(partner, token)).status).toBe(200)
    expect(principal?.method).toBe('mtls')
    expect((await ask(partner)).status).toBe(401)
    expect((await ask(undefined, token)).status).toBe(401)
    const short = await overTls(auth({ any: [partners()], maxLifetimeSeconds: 300 }))
    expect((await short(partner)).status).toBe(401)
    expect(handled).toBe(1)
  })
})

test('a route or a guard may ask for a certificate', async () => {
  const { api } = testApi({
    auth: [partners(), own()],
    routes: { 'GET /payouts': { auth: { certificateBound: true }, rbac: 'authenticated' } },
    ...{ clock, fetch: issuer.fetch, respond: noting },
  })
  const guarded = api.guard({ auth: { certificateBound: true } })
  const ask = await overTls((req, res, next) =>
    api(req, res, () => (req.url === '/guarded' ? guarded(req, res, next) : next())),
  )
  const token = (text: string) => ({ headers: { Authorization: `Bearer ${text}` } })
  for (const path of ['/payouts', '/guarded']) {
    expect((await ask(partner, { path })).status).toBe(200)
    expect((await ask(alone, { path, ...token(boundTo(alone)) })).status).toBe(200)
    const { status, body } = await ask(partner, { path, ...token(issuer.mint()) })
    expect(status).toBe(401)
    expect(JSON.parse(body)).toMatchObject({ code: 'invalid-token' })
    expect(rule).toBe('credential-unbound')
  }
  expect((await ask(partner, { path: '/orders', ...token(issuer.mint()) })).status).toBe(200)
  expect(handled).toBe(5)
  await api.close()
})

describe('behind a proxy', () => {
  const behind = (options: Partial<MtlsOptions> = {}, services: Partial<ServeOptions> = { trustProxy: 1 }) =>
    serve(partners({ certificate: 'Client-Cert', ...options }), {
      clock,
      handler(req, res) {
        principal = contextOf(req)?.principal
        res.end()
      },
      ...services,
    })
  const ranges = ['127.0.0.0/8', '::1/128']

  test.each<[string, Partial<MtlsOptions>, Partial<ServeOptions>, string, string]>([
    ['Client-Cert', {}, { trustProxy: 1 }, 'Client-Cert', field(partner)],
    ['Client-Cert, by range', {}, { trustProxy: ranges }, 'client-cert', field(partner)],
    [
      'X-Forwarded-Client-Cert',
      { certificate: 'X-Forwarded-Client-Cert' },
      { trustProxy: 1 },
      'X-Forwarded-Client-Cert',
      `Hash=00;Cert="${encodeURIComponent(stranger.cert)}",${envoy(partner)}`,
    ],
  ])('it says which certificate it has seen: %s', async (_what, options, services, name, value) => {
    const { get, handled: served } = behind(options, services)
    for (let n = 0; n < 2; n++) await get('/').set(name, value).expect(200)
    expect(principal).toMatchObject({ subject: 'CN=orders,O=Partner,C=DE', bound: ['mtls'] })
    await get('/').expect(401)
    expect(served()).toBe(2)
  })

  test.each<[string, string, string]>([
    ['of another authority', field(stranger), 'certificate-untrusted'],
    ['of one that is called the same', field(forged), 'certificate-untrusted'],
    ['for servers', field(web), 'certificate-purpose'],
    ['of the authority itself', field(acme), 'certificate-purpose'],
    ['with a short key', field(weak), 'certificate-key'],
    ['with a short key on a curve', field(curved), 'certificate-key'],
    ['without a subject', field(nameless), 'certificate-name'],
    ['without colons', field(partner).slice(1, -1), 'certificate-malformed'],
    ['with parameters', `${field(partner)};a=1`, 'certificate-malformed'],
    ['twice in one field', `${field(partner)}, ${field(partner)}`, 'certificate-malformed'],
    ['cut off', `${field(partner).slice(0, 400)}:`, 'certificate-malformed'],
    ['that is none', ':AAAA:', 'certificate-malformed'],
    ['that is empty', '::', 'certificate-malformed'],
    ['that is a text', `:${Buffer.from(partner.cert).toString('base64')}:`, 'certificate-malformed'],
    [
      'with something behind it',
      `:${Buffer.concat([der(partner), Buffer.from('x')]).toString('base64')}:`,
      'certificate-malformed',
    ],
    ['with that of somebody else inside', field(stuffed), 'certificate-malformed'],
  ])('a certificate %s is refused', async (_what, value, why) => {
    const { get, handled: served } = behind({}, { trustProxy: 1, respond: noting })
    const reply = await get('/').set('Client-Cert', value).expect(401)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'invalid-certificate' })
    expect(rule).toBe(why)
    expect(served()).toBe(0)
  })

  test('a certificate with that of somebody else inside is nobody: not as Envoy writes it, and not for a bound token', async () => {
    expect(new X509Certificate(der(stuffed)).subject).toContain('CN=orders')
    const { get, handled: served } = behind({ certificate: 'X-Forwarded-Client-Cert' })
    await get('/').set('X-Forwarded-Client-Cert', envoy(stuffed)).expect(401)
    await get('/')
      .set('X-Forwarded-Client-Cert', `${envoy(stranger)},${envoy(partner)}`)
      .expect(401)
    const bound = serve(own({ certificate: 'Client-Cert' }), { clock, trustProxy: 1, fetch: issuer.fetch })
    const ask = (one: Issued) =>
      bound
        .get('/')
        .set('Authorization', `Bearer ${boundTo(partner)}`)
        .set('Client-Cert', field(one))
    await ask(stuffed).expect(401)
    await ask(partner).expect(200)
    expect([served(), bound.handled()]).toEqual([0, 1])
  })

  test('two fields are refused, and what others than the proxy write is ignored', async () => {
    const { get, handled: served } = behind({}, { trustProxy: ['10.0.0.0/8'] })
    const reply = await get('/').set('Client-Cert', field(partner)).expect(401)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'unauthenticated' })
    expect(served()).toBe(0)
    const twice = behind()
    const refused = await twice
      .get('/')
      .set('Client-Cert', [field(partner), field(partner)] as never)
      .expect(400)
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'invalid-request' })
    const many = Array.from({ length: 1_100 }, (_, n) => `x-${n}: 1`)
    const head = ['GET / HTTP/1.1', 'Host: a', 'Connection: close', `Client-Cert: ${field(partner)}`, ...many]
    expect((await sendRaw(twice.server, [...head, '', ''].join('\r\n'))).status).toBe(401)
    expect(twice.handled()).toBe(0)
  })

  test('an API that declares no proxy says so at start, and lets nobody in', async () => {
    for (const services of [{}, { trustProxy: 0 }]) {
      const { get, handled: served } = behind({}, services)
      await get('/').set('Client-Cert', field(partner)).expect(500)
      expect(served()).toBe(0)
      const given = createServices({ ...services, log: silent, fetch: issuer.fetch })
      await expect(partners({ certificate: 'Client-Cert' }).stage.ready!(given)).rejects.toThrow(
        'trustProxy is not set',
      )
      await expect(own({ certificate: 'Client-Cert' }).stage.ready!(given)).rejects.toThrow(
        'trustProxy is not set',
      )
    }
  })
})

describe('does not start', () => {
  test.each<[string, unknown, string]>([
    ['without authorities', {}, 'mtls.ca must be PEM texts or X509Certificates, got undefined'],
    ['with an empty list', { ca: [] }, 'mtls.ca must have the certificates'],
    ['with a key', { ca: acme.key }, 'mtls.ca must be PEM texts'],
    [
      'with a certificate that is of no authority',
      { ca: [acme.cert, partner.cert] },
      'is not of an authority',
    ],
    [
      'with a broken one',
      { ca: acme.cert.replace(/\n.{20}/, '\n') },
      'mtls.ca has a certificate that cannot be read',
    ],
    [
      'with a field that is none',
      { ca: acme.cert, certificate: 'X-SSL-Cert' },
      'mtls.certificate must be one of',
    ],
    ['with a name that is none', { ca: acme.cert, identity: 'cn' }, 'mtls.identity must be one of'],
    ['with nobody', { ca: acme.cert, allow: [] }, 'mtls.allow must list at least one name'],
    ['with claims that are none', { ca: acme.cert, claims: {} }, 'mtls.claims must be a function'],
  ])('%s', (_what, options, message) => {
    expect(() => mtls(options as MtlsOptions)).toThrow(message)
  })

  test('but warns of what is written by others', () => {
    const codes = (options: Partial<MtlsOptions>) =>
      partners(options).stage.findings!().map(({ code }) => code)
    expect(codes({})).toEqual([])
    expect(codes({ certificate: 'Client-Cert' })).toEqual(['mtls-certificate-forwarded'])
    expect(codes({ ca: [acme.cert, twin.cert, public_.cert] })).toEqual(['mtls-authorities-alike'])
    expect(codes({ ca: [acme.cert, renewed(acme, 10).cert, public_.cert] })).toEqual([])
  })

  test('and says what it does, without certificates', () => {
    const { stage } = mtls({
      ca: [acme.cert + public_.cert, new X509Certificate(twin.cert)],
      identity: 'uri',
      allow: ['spiffe://a'],
    })
    expect(stage.describe!()).toEqual({
      ca: ['CN=Acme Partners CA,O=Acme\\, Inc', 'CN=Everybody CA', 'CN=Acme Partners CA,O=Acme\\, Inc'],
      certificate: 'socket',
      identity: 'uri',
      allow: ['spiffe://a'],
      cacheEntries: 1_000,
      realm: 'api',
    })
  })
})
