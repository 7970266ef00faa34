import type { IncomingMessage, ServerResponse } from 'node:http'
import { body, type BodyOptions } from '../../src/data/body.js'
import { mask } from '../../src/data/mask.js'
import { validate } from '../../src/data/validate.js'
import { serve } from '../../src/testing/index.js'
import { signToken } from '../../src/testing/sign.js'
import { testApi } from '../support/api.js'
import { sendRaw } from '../support/raw.js'
import { PLACES, POISONS, prototypes } from './support/pollution.js'

const before = prototypes()
afterEach(() => expect(prototypes()).toEqual(before))

const asIs = (value: unknown) => value as string
const documents = POISONS.flatMap((poison) => PLACES.map((place): [string] => [place(poison)]))

describe('a body', () => {
  const { post, handled } = serve(body())

  test.each(documents)('%s is refused 400 (ASVS 15.3.6)', async (text) => {
    const reply = await post('/')
      .set('Content-Type', 'application/json')
      .serialize(asIs)
      .send(text)
      .expect(400)

    expect(JSON.parse(reply.text)).toMatchObject({ code: 'malformed-body' })
    expect(handled()).toBe(0)
  })

  test.each(documents)('%s that another parser read is refused 400, too', async (text) => {
    const parsing = serve(
      (req, res, next) => {
        Object.assign(req, { body: JSON.parse(text), _body: true })
        body()(req, res, next)
      },
      { handler: () => undefined },
    )

    await parsing.post('/').set('Content-Type', 'application/json').send('{}').expect(400)
    expect(parsing.handled()).toBe(0)
  })
})

describe('claims', () => {
  const { api, issuer } = testApi({ rateLimit: false })
  const { get, handled } = serve(api)
  const header = { alg: 'ES256', typ: 'at+jwt', kid: 'key-1' }
  const good = issuer.mint().split('.')[1]!
  const claims = Buffer.from(good, 'base64url').toString()

  test.each(POISONS)('with %s are refused 401', async (poison) => {
    for (const text of [
      `${claims.slice(0, -1)},"a":[${poison}]}`,
      `${claims.slice(0, -1)},${poison.slice(1)}`,
    ]) {
      const token = signToken(header, text, issuer.key, 'ES256')
      const reply = await get('/').set('Authorization', `Bearer ${token}`).expect(401)

      expect(JSON.parse(reply.text)).toMatchObject({ code: 'invalid-token' })
    }
    expect(handled()).toBe(0)
  })

  test.each(POISONS)('behind a header with %s are refused 401', async (poison) => {
    const token = signToken(
      `${JSON.stringify(header).slice(0, -1)},${poison.slice(1)}`,
      claims,
      issuer.key,
      'ES256',
    )
    await get('/').set('Authorization', `Bearer ${token}`).expect(401)
    expect(handled()).toBe(0)
  })
})

const anything = { type: 'object', additionalProperties: true }
const shown = (req: IncomingMessage & { security?: { input: object } }, res: ServerResponse) =>
  res.end(JSON.stringify(req.security?.input))

describe('a query', () => {
  const { get, handled } = serve(validate({ query: anything }), { handler: shown })

  test.each(['__proto__', '%5f_proto__', '%5F%5Fproto%5F%5F', '%5f%5f%70%72%6f%74%6f%5f%5f'])(
    'with %s is refused 400',
    async (name) => {
      for (const query of [`${name}=1`, `a=1&${name}=1`, name]) {
        const reply = await get(`/?${query}`).expect(400)
        expect(JSON.parse(reply.text)).toMatchObject({ code: 'malformed-parameter' })
      }
      expect(handled()).toBe(0)
    },
  )

  test.each([
    '__proto__[polluted]=1',
    '__proto__.polluted=1',
    'constructor[prototype][polluted]=1',
    'constructor.prototype.polluted=1',
    'a[__proto__][polluted]=1',
    'constructor=1',
    'prototype=1',
    'hasOwnProperty=1',
    'toString=1',
    '%255f_proto__=1',
  ])('%s is just a name', async (query) => {
    const reply = await get(`/?${query}`).expect(200)
    expect(Object.keys((JSON.parse(reply.text) as { query: object }).query)).toEqual([
      decodeURIComponent(query.split('=')[0]!),
    ])
  })
})

test.each(['__proto__=1', 'a=1; __proto__=2', ' __proto__ = x', '__proto__="x"'])(
  'a cookie %s is refused 400',
  async (field) => {
    const { get, handled } = serve(validate({ cookies: anything }), { handler: shown })
    const reply = await get('/').set('Cookie', field).expect(400)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'malformed-parameter' })
    expect(handled()).toBe(0)
  },
)

test.each([
  '__proto__: polluted',
  'constructor: polluted',
  'prototype: polluted',
  'hasOwnProperty: polluted',
])('a header %s is a header', async (line) => {
  const { server } = serve(validate({ headers: anything }), { handler: shown })
  const { status } = await sendRaw(
    server,
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${line}\r\n\r\n`,
  )
  expect(status).toBe(200)
})

describe('options from a document', () => {
  const poisoned = (json: string) => JSON.parse(json) as object

  test.each(POISONS)('%s are refused, or change nothing', (poison) => {
    for (const use of [
      () => body(poisoned(poison)),
      () => validate(poisoned(poison) as never),
      () => testApi(poisoned(poison)),
      () => testApi({ body: poisoned(poison) as BodyOptions }),
      () => testApi({ routes: poisoned(poison) as never }),
      () => testApi({ rbac: poisoned(`{"roles":${poison}}`) as never }),
    ]) {
      expect(use).toThrow()
    }
  })
})

test('a reply with an own __proto__ is masked like any other', async () => {
  const { get } = serve(mask({ '**.password': 'redact' }), {
    handler: (_req, res) =>
      (res as ServerResponse & { json: (value: unknown) => void }).json(
        JSON.parse(
          '{"__proto__":{"password":"x"},"constructor":{"prototype":{"password":"y"}},"password":"z"}',
        ),
      ),
  })
  const reply = await get('/').expect(200)
  expect(reply.text).not.toMatch(/"[xyz]"/)
})
