import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import request from 'supertest'
import { apiKey } from '../../src/identity/api-key.js'
import { apiKeys } from '../../src/identity/api-keys.js'
import { auth } from '../../src/identity/auth.js'
import { bearer } from '../../src/identity/bearer.js'
import { session } from '../../src/identity/session.js'
import { tokens } from '../../src/identity/tokens.js'
import { contextOf } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import { secureApi } from '../../src/secure-api.js'
import {
  asIssued,
  asKey,
  asSession,
  badTokens,
  expectRefused,
  fakeClock,
  localIssuer,
  serve,
  type RefusedReply,
} from '../../src/testing/index.js'
import { sendJson, silent } from '../support/api.js'

test.each(['ES256', 'RS256', 'EdDSA'] as const)(
  'each bad token opens nothing, for a reason of its own: %s',
  async (algorithm) => {
    const clock = fakeClock()
    const issuer = localIssuer({ clock, algorithm })
    const stage = bearer({ issuer: issuer.issuer, audience: issuer.audience })
    const { get, handled } = serve(stage, { clock, fetch: issuer.fetch })
    await get('/')
      .set(issuer.asUser({ sub: 'ann' }))
      .expect(200)

    const reasons = new Map<string, string>()
    for (const [why, token] of Object.entries(badTokens(issuer, { sub: 'ann' }))) {
      const reply = await get('/')
        .set('Authorization', `Bearer ${token}`)
        .expect(expectRefused('invalid-token'))
      reasons.set(why, (reply.body as { detail: string }).detail)
    }
    expect(handled()).toBe(1)
    expect(Object.fromEntries(reasons)).toEqual({
      expired: 'The access token expired',
      'not yet valid': 'The access token is not valid yet',
      'without an end': 'The access token lacks a required claim or has a malformed one',
      'good for ten years': 'The access token is valid for longer than is accepted',
      'from another issuer': 'The access token is from an issuer that is not accepted',
      'for another API': 'The access token is meant for another audience',
      'of another kind': 'The access token is of another type than access token',
      'without a subject': 'The access token lacks a required claim or has a malformed one',
      changed: 'The signature of the access token is not valid',
      'signed by a stranger': 'The signature of the access token is not valid',
      'signed by the key it brings': 'The access token has a header parameter that is not accepted',
      'not signed': expect.stringMatching(/malformed|algorithm/) as string,
      'signed with the public key': 'The access token is signed with an algorithm that is not accepted',
      'no token': expect.stringMatching(/malformed|algorithm/) as string,
    })
  },
)

test('callers with a key, a session and an issued token are who they are said to be', async () => {
  const clock = fakeClock()
  const store = memory({ clock })
  const pepper = randomBytes(32)
  const keys = apiKeys({ store, pepper, clock })
  const sessions = session({ store, clock })
  const own = tokens({ issuer: 'https://own.test', audience: 'https://own.test', store, clock })
  const api = secureApi({
    auth: [apiKey({ store, pepper }), sessions, bearer(own.bearerOptions)],
    rbac: { roles: { clerk: ['orders:create'] } },
    routes: { 'POST /orders': { rbac: 'orders:create' } },
    audit: false,
    clock,
    log: silent,
  })
  const server = createServer(
    api.protect((req, res) => {
      sendJson(res, { subject: contextOf(req)?.principal?.subject })
    }),
  )
  const send = async (fields: Record<string, string>) => request(server).post('/orders').set(fields).send({})
  const roles = ['clerk']
  const replies = [
    await send(await asKey(keys, { owner: 'partner-7', roles })),
    await send(await asSession(sessions, { subject: 'ann', claims: { roles } })),
    await send(await asIssued(own, { subject: 'bob', claims: { roles } })),
  ]
  expect(replies.map(({ status, body }) => [status, (body as { subject: string }).subject])).toEqual([
    [200, 'partner-7'],
    [200, 'ann'],
    [200, 'bob'],
  ])
  const wrong = [
    await send(await asKey(keys, { owner: 'partner-7' })),
    await send(await asSession(sessions, { subject: 'ann' })),
  ]
  for (const reply of wrong) expectRefused('forbidden')(reply)
  expectRefused('unauthenticated')(await send({}))
  await expect(asSession({ login: () => Promise.resolve() }, {})).rejects.toThrow('the login set no cookie')
})

test('finds what is wrong with a refusal', async () => {
  const { get } = serve(auth([bearer({ issuer: 'https://id.test', audience: 'https://api.test' })]))
  const good: RefusedReply = await get('/').expect(401).expect(expectRefused('unauthenticated'))
  await expect(get('/').expect(expectRefused('forbidden'))).rejects.toThrow('got 401 unauthenticated')
  const json = (changed: object) => JSON.stringify({ ...(JSON.parse(good.text) as object), ...changed })
  const check = expectRefused('unauthenticated')
  check(good)
  const without = (name: string) =>
    Object.fromEntries(Object.entries(good.headers).filter(([one]) => one !== name))
  const wrongs: [string, RefusedReply][] = [
    [
      'expected the refusal 401 unauthenticated, got 200 {"ok":true}',
      { ...good, status: 200, text: '{"ok":true}' },
    ],
    ['got 403 unauthenticated', { ...good, status: 403 }],
    ['got 401 forbidden', { ...good, text: json({ code: 'forbidden' }) }],
    ['got 401 Unauthorized', { ...good, text: 'Unauthorized' }],
    ['type must end with the code', { ...good, text: json({ type: 'about:blank' }) }],
    ['a 401 needs www-authenticate', { ...good, headers: without('www-authenticate') }],
    ['no-store', { ...good, headers: without('cache-control') }],
    ['application', { ...good, headers: { ...good.headers, 'content-type': 'text/html' } }],
  ]
  for (const [message, reply] of wrongs) expect(() => check(reply)).toThrow(message)
  expect(() => expectRefused('wrong-password')).toThrow('say its status')
  const own = {
    ...good,
    status: 403,
    text: json({ code: 'wrong-password', status: 403, type: 'urn:x:wrong-password' }),
  }
  expectRefused('wrong-password', { status: 403 })(own)
})
