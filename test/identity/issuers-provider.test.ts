import { auth } from '../../src/identity/auth.js'
import { bearer } from '../../src/identity/bearer.js'
import { introspection, type IntrospectionOptions } from '../../src/identity/introspection.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { createServices } from '../../src/kernel/services.js'
import { dpopClient, expectRefused, serve } from '../../src/testing/index.js'
import { AUDIENCE, shiftedClock, signingKey, startProvider, type Provider } from '../support/provider.js'
import { quietConsole } from '../support/quiet-console.js'

quietConsole()
let ours: Provider
let theirs: Provider
beforeEach(async () => {
  ;[ours, theirs] = await Promise.all([
    startProvider('RS256', undefined, 'ours_'),
    startProvider('ES256', undefined, 'theirs_'),
  ])
  ours.signWith([signingKey('first', 'RS256')], 'opaque')
  theirs.signWith([signingKey('first', 'ES256')], 'opaque')
})
afterEach(() => Promise.all([ours.close(), theirs.close()]))

/** How often each of them was asked about a token. */
const questions = () => [ours.introspected(), theirs.introspected()]
const client = ({ issuer, trustAsClient: { clientId, clientSecret } }: Provider) => ({
  issuer,
  clientId,
  clientSecret,
})
const general = { audience: AUDIENCE, allowInsecureLoopback: true }
const known = () => [
  { ...client(ours), prefix: 'ours_' },
  { ...client(theirs), prefix: 'theirs_' },
]

function setUp(options: Partial<IntrospectionOptions> = {}) {
  const clock = shiftedClock()
  let principal: Principal | undefined
  const method = introspection({ ...general, issuers: known(), ...options })
  const api = serve(method, {
    clock,
    handler(req, res) {
      principal = contextOf(req)?.principal
      res.end()
    },
  })
  const send = (token: string) => api.get('/').set('Authorization', `Bearer ${token}`)
  return { ...api, clock, send, stage: method.stage, principal: () => principal }
}

test('opaque tokens of two providers open one API, and each provider sees only its own', async () => {
  const { send, principal } = setUp()
  const [one, other] = [await ours.token(), await theirs.token()]
  expect([one.slice(0, 5), other.slice(0, 7)]).toEqual(['ours_', 'theirs_'])

  for (let n = 0; n < 3; n++) await send(one).expect(200)
  expect(principal()).toMatchObject({ id: `${ours.issuer} svc`, issuer: ours.issuer })
  expect(questions()).toEqual([1, 0])

  for (let n = 0; n < 3; n++) await send(other).expect(200)
  expect(principal()).toMatchObject({ id: `${theirs.issuer} svc`, issuer: theirs.issuer })
  expect(questions()).toEqual([1, 1])
})

test('a token of one under the name of the other is none', async () => {
  const { send, handled } = setUp()
  const stolen = await ours.token()
  await send(stolen.replace('ours_', 'theirs_')).expect(expectRefused('invalid-token'))
  await send(stolen.slice('ours_'.length)).expect(expectRefused('invalid-token'))
  expect(questions()).toEqual([0, 1])
  expect(handled()).toBe(0)
})

test('one of them may have no prefix', async () => {
  const { send, principal } = setUp({ issuers: [client(ours), known()[1]!] })
  await send(await ours.token()).expect(200)
  expect(principal()).toMatchObject({ issuer: ours.issuer })
  await send(await theirs.token()).expect(200)
  expect(principal()).toMatchObject({ issuer: theirs.issuer })
  expect(questions()).toEqual([1, 1])
})

test('in turn, both are asked', async () => {
  const { send, principal } = setUp({
    issuers: [client(ours), client(theirs)],
    dangerouslyShowTokensToOthers: true,
  })
  await send(await theirs.token()).expect(200)
  expect(principal()).toMatchObject({ issuer: theirs.issuer })
  await send(await ours.token()).expect(200)
  await send('made-up').expect(expectRefused('invalid-token'))
  expect(questions()).toEqual([3, 2])

  await theirs.close()
  await send('made-up-too').expect(503).expect('Retry-After', '1')
  await send(await ours.token()).expect(200)
  await theirs.reopen()
})

test('while one is away, the other one works, and its tokens are not called bad', async () => {
  const { send, clock, handled } = setUp()
  const before = await theirs.token()
  await theirs.close()
  for (let n = 0; n < 5; n++) {
    const reply = await send(before).expect(503).expect('Retry-After', '1')
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'identity-provider-unavailable' })
    await send(await ours.token()).expect(200)
  }
  expect(handled()).toBe(5)
  await theirs.reopen()
  clock.advance(1_000)
  await send(before).expect(200)
})

test('a token that was taken back at one, or is for another API, is refused for that', async () => {
  const { send } = setUp({ cacheMs: 0 })
  const token = await theirs.token()
  await send(token).expect(200)
  await theirs.revoke(token)
  await send(token).expect(expectRefused('invalid-token'))
  const foreign = await send(await ours.token('https://payroll.example')).expect(401)
  expect(foreign.headers['www-authenticate']).toContain('meant for another audience')
})

test('settings are those of the provider: lifetimes, and proofs of possession', async () => {
  const { send, get, handled } = setUp({
    resource: 'https://api.example',
    issuers: [
      { ...known()[0]!, maxLifetimeSeconds: 299 },
      { ...known()[1]!, dpop: 'required' },
    ],
  })
  const long = await send(await ours.token()).expect(expectRefused('invalid-token'))
  expect(long.headers['www-authenticate']).toContain('valid for longer than is accepted')
  await send(await theirs.token()).expect(expectRefused('invalid-token'))
  expect(handled()).toBe(0)

  const { proof, fields } = dpopClient()
  const bound = await theirs.token(AUDIENCE, { DPoP: proof('POST', `${theirs.issuer}/token`, '') })
  await get('/')
    .set(fields('GET', 'https://api.example/', bound))
    .expect(200)
  await send(bound).expect(expectRefused('invalid-token'))
  expect(handled()).toBe(1)
})

test('JWTs of one and opaque tokens of the other, each by its own method', async () => {
  ours.signWith([signingKey('first', 'RS256')], 'jwt')
  const by: unknown[] = []
  const methods = [
    introspection({ ...general, issuers: [known()[1]!] }),
    bearer({ ...general, issuers: [{ issuer: ours.issuer, maxLifetimeSeconds: 300 }] }),
  ]
  const { get } = serve(auth(methods), {
    clock: shiftedClock(),
    handler(req, res) {
      const { method, issuer } = contextOf(req)!.principal!
      by.push([method, issuer])
      res.end()
    },
  })
  for (const provider of [ours, theirs]) {
    await get('/')
      .set('Authorization', `Bearer ${await provider.token()}`)
      .expect(200)
  }
  expect(by).toEqual([
    ['bearer', ours.issuer],
    ['introspection', theirs.issuer],
  ])
  expect(questions()).toEqual([0, 1])
})

test('both are there when the API starts, or the API says which is not', async () => {
  await setUp().stage.ready!(createServices())
  expect([ours.asked(), theirs.asked()]).toEqual([1, 1])
  await theirs.close()
  await expect(setUp().stage.ready!(createServices())).rejects.toThrow()
  await theirs.reopen()
})
