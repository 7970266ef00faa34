import crypto, { randomBytes } from 'node:crypto'
import type request from 'supertest'
import { apiKey } from '../../src/identity/api-key.js'
import { auth } from '../../src/identity/auth.js'
import { basic } from '../../src/identity/basic.js'
import { bearer, type BearerOptions } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import type { MethodMiddleware } from '../../src/identity/method.js'
import { mtls } from '../../src/identity/mtls.js'
import { session } from '../../src/identity/session.js'
import { memory } from '../../src/kernel/memory.js'
import type { Store } from '../../src/kernel/ports.js'
import { fakeClock, localIssuer, serve } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'
import { authority } from '../support/certificates.js'

const clock = fakeClock()
const issuer = localIssuer({ clock })
const ca = authority('/CN=Clients').cert
const WORK = [
  ...(['hash', 'createHash', 'createHmac', 'hkdfSync', 'scrypt', 'scryptSync', 'pbkdf2', 'verify'] as const),
  ...(['createVerify', 'createPublicKey', 'createSecretKey', 'timingSafeEqual', 'randomBytes'] as const),
]

/** What was asked outside, and what was computed that costs something, by name. */
let done: string[]
beforeEach(() => {
  done = []
  for (const name of WORK) noting(crypto, name, () => true)
  // Others read JSON too, and no tokens.
  noting(JSON, 'parse', (text) => String(text).includes('"iss"'))
})
afterEach(() => jest.restoreAllMocks())

function noting(target: object, name: string, counts: (first: unknown) => boolean): void {
  const real = (target as Record<string, (...given: unknown[]) => unknown>)[name]!
  const noted = (...given: unknown[]) => {
    if (counts(given[0])) done.push(name)
    return Reflect.apply(real, target, given)
  }
  jest.spyOn(target as never, name as never).mockImplementation(noted as never)
}

/** What is asked of it is noted. */
function watchedStore(): Store {
  const watched = Object.entries(memory({ clock })).map(([port, real]) => [
    port,
    new Proxy(real as object, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return (...given: unknown[]) => {
          done.push(`${port}.${String(name)}`)
          return Reflect.apply(member, target, given) as unknown
        }
      },
    }),
  ])
  return Object.fromEntries(watched) as Store
}

const outside = {
  clock,
  trustProxy: 1,
  fetch: async (...asked: Parameters<typeof fetch>) => {
    done.push('fetch')
    return issuer.fetch(...asked)
  },
}

const jwt = (more: Partial<BearerOptions> = {}) =>
  bearer({ issuer: issuer.issuer, audience: issuer.audience, ...more })
const opaque = { issuer: 'https://opaque.test', endpoint: 'https://opaque.test/introspect', audience: 'api' }

/** An API with a method more than `jwt()`. `sso` is none: what it leaves behind is a session. */
const beside: Record<string, (store: Store) => MethodMiddleware[]> = {
  apiKey: (store) => [jwt(), apiKey({ store, pepper: randomBytes(32) })],
  session: (store) => [jwt(), session({ store })],
  basic: (store) => [jwt(), basic({ users: () => void done.push('users'), store })],
  mtls: () => [jwt(), mtls({ ca })],
  'mtls behind a proxy': () => [jwt(), mtls({ ca, certificate: 'Client-Cert' })],
  introspection: () => [jwt(), introspection({ ...opaque, clientId: 'api', clientSecret: 'secret of it' })],
  'introspection in front': () => [
    introspection({ ...opaque, clientId: 'api', clientSecret: 'secret of it' }),
    jwt(),
  ],
  dpop: (store) => [jwt({ dpop: { mode: 'allowed', baseUrls: 'https://api.test', store } })],
}

/** What a request makes somebody do, once the same was there before. */
async function workOf(served: Pick<ReturnType<typeof serve>, 'get'>, status: number, fields = {}) {
  const ask = () => served.get('/').set(fields).buffer(true).parse(unread).expect(status)
  for (let i = 0; i < 3; i++) await ask()
  done = []
  await ask()
  return [...done]
}

/** Nobody here reads the reply: that would be counted too. */
function unread(reply: request.Response, ended: (error: Error | null, body: unknown) => void): void {
  const message = reply as unknown as NodeJS.ReadableStream
  message.resume().on('end', () => ended(null, undefined))
}

const cookies = { Cookie: 'theme=dark; __Secure-visit=1; __Host-sessions=x; about=session' }

describe.each(Object.entries(beside))('%s', (_name, methods) => {
  test('costs a known token no question, no hash and no reading', async () => {
    for (const fields of [issuer.asUser(), { ...issuer.asUser(), ...cookies }]) {
      const alone = await workOf(serve(auth([jwt()]), outside), 200, fields)
      // Its own, under which it is known.
      expect(alone).toEqual(['hash'])
      expect(await workOf(serve(auth(methods(watchedStore())), outside), 200, fields)).toEqual(alone)
    }
  })

  test.each([
    ['nothing', {}],
    ['cookies of others', cookies],
  ])('costs whoever sends %s nothing, in or out', async (_what, fields) => {
    const any = methods(watchedStore())
    expect(await workOf(serve(auth({ any, optional: true }), outside), 200, fields)).toEqual([])
    expect(await workOf(serve(auth(any), outside), 401, fields)).toEqual([])
  })

  test('is not even asked on a public route, whatever is sent', async () => {
    const list = methods(watchedStore())
    const asked = list.map(({ stage }) => jest.spyOn(stage as never, 'recognises' as never))
    const { api } = testApi({
      ...outside,
      auth: list as never,
      audit: false,
      rateLimit: false,
      routes: { 'GET /': { public: true } },
    })
    const served = serve(api, { clock })
    for (const fields of [{}, issuer.asUser(), cookies]) {
      const work = await workOf(served, 200, fields)
      // The id of the request.
      expect(work.filter((what) => what !== 'randomBytes')).toEqual([])
    }
    for (const spied of asked) expect(spied).not.toHaveBeenCalled()
  })
})
