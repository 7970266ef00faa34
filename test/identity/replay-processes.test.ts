import { randomBytes } from 'node:crypto'
import { revocations } from '../../src/identity/revocation.js'
import { dpopClient, localIssuer } from '../../src/testing/index.js'
import { SoftPasskey } from '../support/authenticator.js'
import { backends, startProcess, type ApiProcess, type Backend } from '../support/processes.js'

const key = randomBytes(32).toString('base64')
const BASE = 'https://api.test'
const ORIGIN = 'https://app.example.com'
const issuer = localIssuer({ audience: BASE })
const OTHER = localIssuer({ issuer: 'https://other.test', audience: BASE })

/** An API with two issuers, proofs of possession where a token asks for one, and passkeys. */
const SERVER = `
  const [key, issuers] = [args[0], JSON.parse(args[1])]
  const outside = { storeTimeoutMs: 10_000 }
  const revocation = secureApi.revocations({ store, storeTimeoutMs: 10_000 })
  const dpop = { mode: 'allowed', baseUrls: '${BASE}', store }
  const guard = secureApi.bearer({ issuers, audience: '${BASE}', revocation, dpop }, outside)
  const passkeys = secureApi.webauthn({
    ...{ key, rpId: 'example.com', rpName: 'Acme', origins: ['${ORIGIN}'], store, storeTimeoutMs: 10_000 },
    verified: () => undefined,
  })
  const ann = { id: 'https://id.example ann', subject: 'ann', issuer: 'https://id.example', method: 'own', claims: {} }
  const as = secureApi.defineStage('as', ({ principal }) => ({
    gives: ['principal'], enter: (ctx) => void (ctx.principal = principal),
  }))
  const [asAnn, asNobody] = [as({ principal: ann }, outside), as({}, outside)]
  listen((req, res) => {
    const handler = passkeys.handlers[req.url.slice(1)]
    if (handler === undefined) return guard(req, res, () => res.end('{}'))
    const who = req.headers['x-as'] === 'nobody' ? asNobody : asAnn
    who(req, res, () => handler(req, res, () => res.end()))
  })
`

describe.each(backends)('two processes over one %s', (_kind, start) => {
  let backend: Backend
  let apis: ApiProcess[] = []
  beforeAll(async () => {
    backend = await start()
    const issuers = [issuer, OTHER].map((one) => ({ issuer: one.issuer, keys: one.jwks.keys }))
    apis = await Promise.all([1, 2].map(() => startProcess(backend, SERVER, key, JSON.stringify(issuers))))
  })
  afterAll(async () => {
    for (const api of apis) await api.stop()
    await backend.stop()
  })
  const send = async (api: ApiProcess, headers: object) => {
    const reply = await fetch(`${api.origin}/orders`, { headers: { ...headers } })
    await reply.arrayBuffer()
    return reply.status
  }
  const both = (token: string) =>
    Promise.all(apis.map((api) => send(api, { Authorization: `Bearer ${token}` })))

  test('racing for one proof of possession let exactly one through (RFC 9449 section 11.1)', async () => {
    const client = dpopClient()
    const token = issuer.mint({ cnf: { jkt: client.jkt } })
    for (let round = 0; round < 10; round++) {
      const fields = client.fields('GET', `${BASE}/orders`, token)
      const statuses = await Promise.all([...apis, ...apis].map((api) => send(api, fields)))
      expect(statuses.sort()).toEqual([200, 401, 401, 401])
      expect(await Promise.all(apis.map((api) => send(api, fields)))).toEqual([401, 401])
    }
    // It was the proof that was used, and not the token.
    for (const api of apis) expect(await send(api, client.fields('GET', `${BASE}/orders`, token))).toBe(200)
  })

  test('a token, a session, or all of a subject: what one revokes is over in the other from the next request on', async () => {
    const revocation = revocations({ store: backend.store })
    const [first, second] = [issuer.mint({ jti: 'one', sid: 's' }), issuer.mint({ jti: 'two', sid: 's' })]
    const third = issuer.mint()
    const elsewhere = OTHER.mint({ jti: 'one', sid: 's' })
    for (const token of [first, second, third, elsewhere]) expect(await both(token)).toEqual([200, 200])

    await revocation.revokeToken(issuer.issuer, 'one', Date.now() / 1000 + 300)
    expect([await both(first), await both(second)]).toEqual([
      [401, 401],
      [200, 200],
    ])
    await revocation.revokeSession(issuer.issuer, 's')
    expect(await both(second)).toEqual([401, 401])
    await revocation.revokeSubject(issuer.issuer, 'user-1')
    expect(await both(third)).toEqual([401, 401])
    // No issuer revokes what is another one\u2019s.
    expect(await both(elsewhere)).toEqual([200, 200])
    expect(await both(issuer.mint({ sub: 'user-2' }))).toEqual([200, 200])
  })

  test('many who log out one subject at once agree on the latest moment', async () => {
    const now = Math.floor(Date.now() / 1000)
    const moments = [40, 10, 30, 20].map((ago) => now - ago)
    const desks = moments.map(() => revocations({ store: backend.store }))
    await Promise.all(desks.map((desk, i) => desk.revokeSubject(issuer.issuer, 'user-3', moments[i])))
    const tokens = [45, 15, 9].map((ago) => issuer.mint({ sub: 'user-3', iat: now - ago }))
    expect(await Promise.all(tokens.map((token) => both(token)))).toEqual([
      [401, 401],
      [401, 401],
      [200, 200],
    ])
  })

  test('racing for one challenge of a passkey let exactly one in (ASVS 6.5.1)', async () => {
    const passkey = new SoftPasskey('example.com', ORIGIN)
    const post = async (api: number, path: string, body: object, headers: object = {}) => {
      const reply = await fetch(`${apis[api]!.origin}/${path}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
      return { status: reply.status, cookie: reply.headers.getSetCookie()[0], body: await reply.text() }
    }
    const asked = await post(0, 'registrationOptions', {})
    const credential = passkey.create(JSON.parse(asked.body) as never)
    const registered = await Promise.all([0, 1].map((api) => post(api, 'register', { credential })))
    expect(registered.map(({ status }) => status).sort()).toEqual([200, 403])

    for (let round = 0; round < 5; round++) {
      const nobody = { 'x-as': 'nobody' }
      const begun = await post(0, 'loginOptions', {}, nobody)
      const cookie = begun.cookie!.split(';')[0]!
      const answer = { credential: passkey.get(JSON.parse(begun.body) as never) }
      const replies = await Promise.all(
        [0, 1, 0, 1].map((api) => post(api, 'login', answer, { ...nobody, cookie })),
      )
      expect(replies.map(({ status }) => status).sort()).toEqual([200, 403, 403, 403])
    }
  })
})
