import { createServer } from 'node:http'
import request from 'supertest'
import { auth, type AuthSetting } from '../../src/identity/auth.js'
import { authNarrowing } from '../../src/identity/auth-narrowing.js'
import { mergeAuth } from '../../src/identity/auth-options.js'
import { bearer } from '../../src/identity/bearer.js'
import type { Method, MethodMiddleware } from '../../src/identity/method.js'
import { ambientProof } from '../../src/kernel/ambient.js'
import { challenges } from '../../src/kernel/challenges.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import { refuse } from '../../src/kernel/problem.js'
import { fakeClock, localIssuer, serve, type ServeOptions } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'
import { as, caller } from '../support/as.js'
import { listen, sendRaw } from '../support/raw.js'

const clock = fakeClock()
const issuer = localIssuer({ clock })
const token = `Bearer ${issuer.mint()}`
const bad = `Bearer ${issuer.mint({ aud: 'other' })}`
const BEARER = 'Bearer realm="api"'
const own = () => bearer({ issuer: issuer.issuer, audience: issuer.audience })

/** A method of one's own: a key in a header. */
const key = (methodName = 'key', more: Partial<Principal> = {}, own: Pick<Method, 'ambient'> = {}) =>
  defineStage('key', (): Omit<Method, 'name'> => {
    const header = `x-${methodName}`
    return {
      ...own,
      methodName,
      recognises: ({ req }) => req.headers[header] !== undefined,
      challenge: () => `Key name="${methodName}"`,
      enter(ctx) {
        const sent = ctx.req.headers[header]
        if (sent === 'broken') throw new Error('secret')
        if (sent === 'down')
          return Promise.resolve(refuse('identity-provider-unavailable', { headers: { 'Retry-After': '1' } }))
        if (sent === 'nobody') return
        if (sent !== 'good')
          return refuse('invalid-token', {
            headers: { 'WWW-Authenticate': `Key name="${methodName}", error="bad"` },
          })
        ctx.principal = {
          id: `keys ${methodName}`,
          subject: methodName,
          method: methodName,
          claims: {},
          ...more,
        }
      },
    }
  })()

function setUp(setting: AuthSetting, options: Partial<ServeOptions> = {}) {
  const seen: { principal?: Principal | undefined; auth?: unknown; offered?: unknown; why?: unknown } = {}
  const served = serve(auth(setting), {
    clock,
    fetch: issuer.fetch,
    handler(req, res) {
      const ctx = contextOf(req)!
      seen.principal = ctx.principal
      seen.auth = (req as { auth?: unknown }).auth
      seen.offered = ctx.get(challenges)
      seen.why = ctx.rule
      res.end()
    },
    ...options,
  })
  return { ...served, seen }
}

describe('a list of methods', () => {
  test('the one that recognises its credential decides', async () => {
    const { get, seen } = setUp([own(), key()])
    await get('/').set('Authorization', token).expect(200)
    expect(seen.principal?.method).toBe('bearer')
    await get('/').set('X-Key', 'good').expect(200)
    expect(seen.principal?.method).toBe('key')
  })

  test.each([
    ['good', 'good'],
    ['good', 'bad'],
    ['bad', 'good'],
    ['bad', 'bad'],
  ])('a %s credential of one method and a %s one of another are refused', async (first, second) => {
    const { get, handled } = setUp([own(), key()])
    const request = get('/')
      .set('Authorization', first === 'good' ? token : bad)
      .set('X-Key', second)
    const reply = await request.expect(400)
    expect(JSON.parse(reply.text)).toMatchObject({
      code: 'invalid-request',
      detail: 'Credentials of more than one kind were sent',
    })
    expect(reply.headers['www-authenticate']).toMatch(/error="invalid_request"/)
    expect(handled()).toBe(0)
  })

  test('no credential is 401 with the challenges of all', async () => {
    const { get, handled } = setUp([own(), key()])
    const reply = await get('/').expect(401)
    expect(JSON.parse(reply.text).code).toBe('unauthenticated')
    expect(reply.headers['www-authenticate']).toBe(`${BEARER}, Key name="key"`)
    expect(handled()).toBe(0)
  })

  test.each(['Basic dXNlcjpwYXNz', 'Digest a="b"', '', 'bearerish x'])(
    'a credential of another kind, %j, is as good as none',
    async (authorization) => {
      const { get } = setUp([own()])
      const reply = await get('/').set('Authorization', authorization).expect(401)
      expect(reply.headers['www-authenticate']).toBe(BEARER)
      expect(JSON.parse(reply.text).code).toBe('unauthenticated')
    },
  )

  test('answers as its only method alone would', async () => {
    const alone = serve(own(), { clock, fetch: issuer.fetch })
    const listed = setUp([own()])
    for (const authorization of [
      undefined,
      token,
      bad,
      'Bearer',
      'Bearer a b',
      'Basic eA==',
      'Bearer x.y.z',
    ]) {
      const [one, other] = await Promise.all(
        [alone, listed].map(({ get }) =>
          authorization === undefined ? get('/') : get('/').set('Authorization', authorization),
        ),
      )
      expect(other!.status).toBe(one!.status)
      if (one!.status !== 200) expect(other!.text).toBe(one!.text)
      expect(other!.headers['www-authenticate']).toBe(one!.headers['www-authenticate'])
    }
  })

  test.each([
    [[own(), key()]],
    [{ any: [key()], optional: true }],
    [{ all: [own(), key()] }],
  ] as AuthSetting[][])('two Authorization fields are refused, whoever is asked', async (setting) => {
    const { server, handled } = setUp(setting)
    await listen(server)
    const head = [
      'GET / HTTP/1.1',
      'Host: a',
      'X-Key: good',
      `Authorization: ${token}`,
      `authorization: ${token}`,
      'Connection: close',
    ]
    const reply = await sendRaw(server, [...head, '', ''].join('\r\n'))
    server.close()
    expect(reply.status).toBe(400)
    expect(JSON.parse(reply.body).code).toBe('invalid-request')
    expect(reply.head).toContain('error="invalid_request"')
    expect(handled()).toBe(0)
  })

  test('leaves word of how a caller can prove itself', async () => {
    const { get, seen } = setUp({ any: [own(), key()], optional: true })
    await get('/').expect(200)
    expect(seen.offered).toEqual([BEARER, 'Key name="key"'])
    await get('/').set('Authorization', token).expect(200)
    expect(seen.offered).toEqual([BEARER])
  })
})

describe('what is sent unasked', () => {
  const cookie = key('cookie', {}, { ambient: true })
  const certificate = key('certificate', {}, { ambient: true })
  const seenProof = (setting: AuthSetting) => {
    const proofs: unknown[] = []
    const served = serve(auth(setting), {
      clock,
      fetch: issuer.fetch,
      handler(req, res) {
        const ctx = contextOf(req)!
        proofs.push([ctx.principal?.method, ctx.get(ambientProof)])
        res.end()
      },
    })
    return { ...served, proofs }
  }

  test('proves a caller, and leaves word that it was sent unasked', async () => {
    const { get, proofs } = seenProof([cookie, own(), key()])
    await get('/').set('X-Cookie', 'good').expect(200)
    await get('/').set('X-Key', 'good').expect(200)
    expect(proofs).toEqual([
      ['cookie', { binding: undefined }],
      ['key', undefined],
    ])
  })

  test.each([
    ['good', 200],
    ['bad', 401],
  ])('says nothing beside a %s credential that was sent on purpose: %i', async (sent, status) => {
    for (const list of [
      [cookie, key()],
      [key(), cookie],
    ]) {
      const { get, proofs } = seenProof(list)
      for (const unasked of ['good', 'bad', 'down'])
        await get('/').set({ 'X-Cookie': unasked, 'X-Key': sent }).expect(status)
      expect(proofs).toEqual(Array<unknown>(status === 200 ? 3 : 0).fill(['key', undefined]))
    }
  })

  test('does not stand in for a credential of a kind that is not accepted: 401', async () => {
    const { get, handled } = setUp([cookie, own()])
    await get('/').set({ 'X-Cookie': 'good', Authorization: 'Basic dXNlcjpwYXNz' }).expect(401)
    const narrowed = setUp({ any: [cookie, key()], methods: ['cookie'] })
    await narrowed.get('/').set({ 'X-Cookie': 'good', 'X-Key': 'good' }).expect(401)
    expect([handled(), narrowed.handled()]).toEqual([0, 0])
  })

  test('does not stand in for one either where all of several are asked for: 401', async () => {
    const { get, handled } = setUp({ all: [cookie, certificate] })
    const both = { 'X-Cookie': 'good', 'X-Certificate': 'good' }
    await get('/').set(both).set('Authorization', 'Basic dXNlcjpwYXNz').expect(401)
    expect(handled()).toBe(0)
    await get('/').set(both).expect(200)
  })

  test('twice, by two methods, is 400 like any two credentials', async () => {
    const { get, handled } = setUp([cookie, certificate])
    await get('/').set({ 'X-Cookie': 'good', 'X-Certificate': 'good' }).expect(400)
    const narrowed = setUp({ any: [cookie, certificate], methods: ['cookie'] })
    await narrowed.get('/').set({ 'X-Cookie': 'good', 'X-Certificate': 'good' }).expect(400)
    expect([handled(), narrowed.handled()]).toEqual([0, 0])
  })

  test('where it is not accepted, is none; where it is and is bad, is never taken for none', async () => {
    const { get, seen } = setUp({ any: [cookie, key()], methods: ['key'], optional: true })
    await get('/').set('X-Cookie', 'good').expect(200)
    expect(seen.principal).toBeUndefined()
    await setUp({ any: [cookie, key()], methods: ['key'] })
      .get('/')
      .set('X-Cookie', 'good')
      .expect(401)
    await setUp({ any: [cookie], optional: true })
      .get('/')
      .set('X-Cookie', 'bad')
      .expect(401)
  })

  test('is taken for a browser\u2019s if one of several is, in whatever order', async () => {
    const machine = defineStage('machine', (): Omit<Method, 'name'> => {
      const { recognises, challenge, enter } = key('machine').stage
      return {
        ...{ methodName: 'machine', ambient: true, recognises, challenge },
        enter(ctx) {
          ctx.set(ambientProof, { binding: 'certificate', machines: true })
          return enter(ctx)
        },
      }
    })()
    const bound = defineStage('bound', (): Omit<Method, 'name'> => {
      const { recognises, challenge, enter } = key('bound').stage
      return {
        ...{ methodName: 'bound', ambient: true, recognises, challenge },
        enter(ctx) {
          ctx.set(ambientProof, undefined)
          ctx.set(ambientProof, { binding: 'session' })
          return enter(ctx)
        },
      }
    })()
    const good = { 'X-Machine': 'good', 'X-Cookie': 'good', 'X-Bound': 'good', 'X-Key': 'good' }
    const proofOf = async (...all: MethodMiddleware[]) => {
      const { get, proofs } = seenProof({ all })
      await get('/').set(good).expect(200)
      return (proofs[0] as unknown[])[1]
    }
    for (const all of [
      [machine, cookie],
      [cookie, machine],
    ])
      expect(await proofOf(...all)).toEqual({ binding: undefined })
    for (const all of [
      [machine, bound],
      [bound, machine],
      [bound, cookie],
    ])
      expect(await proofOf(...all)).toEqual({ binding: 'session' })
    for (const all of [
      [machine, key()],
      [key(), machine],
    ])
      expect(await proofOf(...all)).toEqual({ binding: 'certificate', machines: true })
    expect(await proofOf(key(), key('machine'))).toBeUndefined()
  })

  test('leaves no word where the caller is refused and that is only reported', async () => {
    const reports = { enforcement: () => 'report' as const }
    const proofs: unknown[] = []
    const { get } = serve([auth([cookie]), auth({ all: [cookie, key()] })], {
      ...reports,
      handler(req, res) {
        const ctx = contextOf(req)!
        proofs.push([ctx.principal, ctx.get(ambientProof)])
        res.end()
      },
    })
    await get('/').set({ 'X-Cookie': 'good', 'X-Key': 'bad' }).expect(200)
    expect(proofs).toEqual([[undefined, undefined]])
  })
})

describe('optional', () => {
  const optional = (options: Partial<ServeOptions> = {}) =>
    setUp({ any: [own(), key()], optional: true }, options)

  test('lets a caller without a credential pass as nobody', async () => {
    const { get, seen } = optional()
    await get('/').expect(200)
    expect(seen.principal).toBeUndefined()
    expect(seen.why).toBe('anonymous')
  })

  test('still knows who comes with one', async () => {
    const { get, seen } = optional()
    await get('/').set('Authorization', token).expect(200)
    expect(seen.principal?.subject).toBe('user-1')
  })

  test.each([
    ['a bad token', bad, 401],
    ['a malformed field', 'Bearer', 400],
    ['a kind that is not accepted', 'Basic dXNlcjpwYXNz', 401],
    ['an empty field', '', 401],
  ])('never treats %s as none', async (_what, authorization, status) => {
    const { get, handled } = optional()
    await get('/').set('Authorization', authorization).expect(status)
    expect(handled()).toBe(0)
  })

  test('is 503 if the provider cannot be reached', async () => {
    const away = localIssuer({ clock })
    away.down()
    const { get, handled } = optional({ fetch: away.fetch })
    await get('/').set('Authorization', token).expect(503).expect('Retry-After', '1')
    expect(handled()).toBe(0)
  })

  test('with all methods: either none or all of them', async () => {
    const { get, handled } = setUp({ all: [own(), key()], optional: true })
    await get('/').expect(200)
    await get('/').set('X-Key', 'good').expect(401)
    await get('/').set('Authorization', token).expect(401)
    expect(handled()).toBe(1)
  })
})

describe('all methods', () => {
  const both = (more = {}) => setUp({ all: [own(), key()], ...more })

  test('must succeed; the principal is that of the first', async () => {
    const { get, seen } = both()
    await get('/').set('Authorization', token).set('X-Key', 'good').expect(200)
    expect(seen.principal?.method).toBe('bearer')
    expect(seen.offered).toEqual([BEARER, 'Key name="key"'])
  })

  test.each([
    ['nothing', {}, `${BEARER}, Key name="key"`],
    ['only the first', { Authorization: token }, 'Key name="key"'],
    ['only the second', { 'X-Key': 'good' }, BEARER],
  ])('%s is 401 with the challenges of what is missing', async (_what, headers, challenge) => {
    const { get, handled } = both()
    const reply = await get('/').set(headers).expect(401)
    expect(JSON.parse(reply.text).code).toBe('unauthenticated')
    expect(reply.headers['www-authenticate']).toBe(challenge)
    expect(handled()).toBe(0)
  })

  test.each([
    ['the first is bad', bad, 'good', 401],
    ['the second is bad', token, 'bad', 401],
    ['the second cannot be checked', token, 'down', 503],
    ['the second breaks', token, 'broken', 500],
    ['the second says nothing', token, 'nobody', 500],
  ])('if %s, the caller does not get in', async (_what, authorization, sent, status) => {
    const { get, handled } = both()
    const reply = await get('/').set('Authorization', authorization).set('X-Key', sent).expect(status)
    expect(reply.text).not.toContain('secret')
    expect(handled()).toBe(0)
  })

  test('in report mode, half a proof leaves nobody half known', async () => {
    const { get, seen } = setUp({ all: [own(), key()] }, { enforcement: () => 'report' })
    await get('/').set('Authorization', token).set('X-Key', 'bad').expect(200)
    expect(seen.principal).toBeUndefined()
    expect(seen.auth).toBeUndefined()
  })
})

test('in report mode, what other middleware left on req.auth stays', async () => {
  const stage = auth([own()])
  let found: unknown
  const served = serve(stage, {
    clock,
    fetch: issuer.fetch,
    enforcement: () => 'report',
    handler(req, res) {
      found = (req as { auth?: unknown }).auth
      res.end()
    },
  })
  served.server.prependListener('request', (req: { auth?: unknown }) => void (req.auth = { sub: 'theirs' }))
  await served.get('/').set('Authorization', bad).expect(200)
  expect(found).toEqual({ sub: 'theirs' })
})

test('an earlier principal does not outlive a refusal that is only reported', async () => {
  let principal: unknown = 'not asked'
  const { get } = serve([as(caller()), auth([own()])], {
    clock,
    fetch: issuer.fetch,
    enforcement: () => 'report',
    handler(req, res) {
      principal = contextOf(req)?.principal
      res.end()
    },
  })
  await get('/').set('Authorization', bad).expect(200)
  expect(principal).toBeUndefined()
})

describe('methods', () => {
  test('leaves only those that are named', async () => {
    const { get } = setUp({ any: [own(), key()], methods: ['key'] })
    await get('/').set('X-Key', 'good').expect(200)
    const reply = await get('/').set('Authorization', token).expect(401)
    expect(reply.headers['www-authenticate']).toBe('Key name="key"')
  })

  test('makes the credential of another one a wrong one, also where none is needed', async () => {
    const { get, handled } = setUp({ any: [own(), key()], methods: ['bearer'], optional: true })
    await get('/').expect(200)
    await get('/').set('X-Key', 'good').expect(401)
    expect(handled()).toBe(1)
  })

  test('takes none of all away', async () => {
    const { get } = setUp({ all: [own(), key()], methods: ['key'] })
    await get('/').set('X-Key', 'good').expect(401)
  })
})

describe('maxLifetimeSeconds', () => {
  test.each([
    [300, 200],
    [299, 401],
  ])('%i seconds for a token of 300 gives %i', async (maxLifetimeSeconds, status) => {
    const { get, seen, handled } = setUp({ any: [own()], maxLifetimeSeconds })
    const reply = await get('/').set('Authorization', token).expect(status)
    expect(handled()).toBe(status === 200 ? 1 : 0)
    if (status === 200) return
    expect(JSON.parse(reply.text).code).toBe('invalid-token')
    expect(reply.headers['www-authenticate']).toBe(
      `${BEARER}, error="invalid_token", error_description="The access token is valid for longer than is accepted"`,
    )
    expect(seen.principal).toBeUndefined()
  })

  test('refuses a credential without an end', async () => {
    const { get } = setUp({ any: [key('key', { issuedAt: 1 })], maxLifetimeSeconds: 300 })
    await get('/').set('X-Key', 'good').expect(401)
  })

  test('in report mode takes back what the method left', async () => {
    const { get, seen } = setUp({ any: [own()], maxLifetimeSeconds: 1 }, { enforcement: () => 'report' })
    await get('/').set('Authorization', token).expect(200)
    expect(seen.principal).toBeUndefined()
    expect(seen.auth).toBeUndefined()
  })
})

describe('reportLifetimeSeconds', () => {
  test('puts on record whom a limit would refuse, and lets them in', async () => {
    const {
      api,
      events,
      as: by,
    } = testApi({
      routes: {
        'GET /payouts': { auth: { reportLifetimeSeconds: 299 }, rbac: 'authenticated' },
        'GET /orders': { auth: { reportLifetimeSeconds: 300 }, rbac: 'authenticated' },
        'GET /secrets': {
          auth: { reportLifetimeSeconds: 200, maxLifetimeSeconds: 299 },
          rbac: 'authenticated',
        },
      },
    })
    const decisions = () => events.filter(({ kind }) => kind === 'decision')
    const guarded = api.guard({ auth: { reportLifetimeSeconds: 60 } })
    const server = createServer(
      api.protect((req, res) => guarded(req, res, () => res.end(String(contextOf(req)?.principal?.subject)))),
    )
    const send = (path: string) => request(server).get(path).set('Authorization', by())

    expect((await send('/payouts').expect(200)).text).toBe('user-1')
    const reported = {
      outcome: 'reported',
      stage: 'auth',
      code: 'invalid-token',
      rule: 'credential-lifetime',
    }
    expect(decisions()).toMatchObject([reported, reported])
    events.length = 0
    await send('/orders').expect(200)
    expect(decisions()).toMatchObject([reported])
    events.length = 0
    await send('/secrets').expect(401)
    expect(decisions()).toMatchObject([{ ...reported, outcome: 'refused' }])
    await api.close()
  })
})

describe('auth does not start', () => {
  const given: [string, unknown, string][] = [
    ['without a setting', undefined, 'auth must be an object of options, got undefined'],
    ['with true', true, 'auth must be an object of options, got true'],
    [
      'with an empty list',
      [],
      'auth.any must list at least one method, such as bearer({ issuer, audience })',
    ],
    ['with no way in', {}, 'auth needs a list of methods'],
    ['with both ways', { any: [own()], all: [own()] }, 'auth needs a list of methods'],
    ['with an empty all', { all: [] }, 'auth.all must list at least one method'],
    ['with one method that is no list', { any: own() }, 'auth.any must list at least one method'],
    [
      'with a stage that is no method',
      [defineStage('x', () => ({}))()],
      'auth.any[0] is no way to prove who is calling',
    ],
    ['with null for a method', [null], 'auth.any[0] is no way to prove who is calling'],
    ['with a method twice', [own(), own()], 'auth.any lists bearer twice'],
    [
      'with an unknown option',
      { any: [own()], optionl: true },
      'auth has no option "optionl". Did you mean "optional"?',
    ],
    [
      'with an optional that is text',
      { any: [own()], optional: 'yes' },
      'auth.optional must be true or false',
    ],
    ['with a method name that nobody has', { any: [own()], methods: ['bearr'] }, 'Did you mean "bearer"?'],
    ['with no method name', { any: [own()], methods: [] }, 'auth.methods must name at least one of bearer'],
    [
      'with a method name as text',
      { any: [own()], methods: 'bearer' },
      'auth.methods must name at least one of bearer',
    ],
    [
      'with an endless lifetime',
      { any: [own()], maxLifetimeSeconds: Infinity },
      'auth.maxLifetimeSeconds must be an integer',
    ],
  ]
  test.each(given)('%s', (_what, setting, message) => {
    expect(() => auth(setting as AuthSetting)).toThrow(ConfigError)
    expect(() => auth(setting as AuthSetting)).toThrow(message)
  })
})

describe('auth tells', () => {
  test('its options', () => {
    expect(
      auth({ any: [own(), key()], optional: true, maxLifetimeSeconds: 60 }).stage.describe!(),
    ).toMatchObject({
      any: [{ method: 'bearer', typ: ['at+jwt'] }, { method: 'key' }],
      optional: true,
      maxLifetimeSeconds: 60,
    })
    expect(auth({ all: [key()] }).stage.describe!()).toEqual({ all: [{ method: 'key' }], optional: false })
  })

  test('what deserves a second look, its methods included', () => {
    const lenient = bearer({ issuer: issuer.issuer, audience: 'a', typ: false })
    const codes = auth({ any: [lenient, key()], optional: true }).stage.findings!().map(({ code }) => code)
    expect(codes).toEqual(['auth-optional', 'bearer-typ-unchecked'])
  })

  test('its methods when to warm up and when to end', async () => {
    const method = key()
    const ready = jest.fn(async () => undefined)
    const close = jest.fn(async () => undefined)
    Object.assign(method.stage, { ready, close })
    const { stage } = auth([method, own()])
    await stage.ready!({ clock, fetch: issuer.fetch } as never)
    await stage.close!()
    expect(ready).toHaveBeenCalledTimes(1)
    expect(close).toHaveBeenCalledTimes(1)
  })
})

describe('mergeAuth', () => {
  const any = [own(), key()]

  test('only narrows, except for a written optional', () => {
    expect(mergeAuth(any, {})).toEqual({ any })
    expect(mergeAuth(any, { optional: true })).toEqual({ any, optional: true })
    expect(mergeAuth({ any, optional: true }, { optional: false })).toEqual({ any, optional: false })
    expect(mergeAuth({ any, optional: true }, { methods: ['key'] })).toEqual({
      any,
      optional: true,
      methods: ['key'],
    })
    expect(mergeAuth({ any, maxLifetimeSeconds: 60 }, { maxLifetimeSeconds: 300 })).toEqual({
      any,
      maxLifetimeSeconds: 60,
    })
    expect(mergeAuth({ any, maxLifetimeSeconds: 60 }, { maxLifetimeSeconds: 10 })).toEqual({
      any,
      maxLifetimeSeconds: 10,
    })
    expect(mergeAuth({ any, methods: ['bearer'] }, { methods: ['key', 'bearer'] })).toEqual({
      any,
      methods: ['bearer'],
    })
    expect(mergeAuth({ any, methods: ['bearer'] }, { methods: ['key'] })).toBeUndefined()
  })

  test('refuses methods of its own: a route never re-declares', () => {
    expect(() => mergeAuth(any, { any } as never)).toThrow('auth has no option "any"')
    expect(() => mergeAuth(any, false as never)).toThrow(ConfigError)
    expect(() => auth(mergeAuth(any, { methods: 'key' as never })!)).toThrow(ConfigError)
    expect(() => auth(mergeAuth({ any, methods: ['bearer'] }, { methods: [] })!)).toThrow(ConfigError)
  })
})

describe('a narrowing', () => {
  const good = { ...caller(), issuedAt: 100, expiresAt: 400 }

  test.each([
    ['nothing more', {}],
    ['the method it was proven by', { methods: ['key', 'bearer'] }],
    ['a lifetime that it has', { maxLifetimeSeconds: 300 }],
  ])('lets a caller pass that it asks %s of', async (_what, setting) => {
    await serve([as(good), authNarrowing(setting)])
      .get('/')
      .expect(200)
  })

  test.each([
    ['another method', { methods: ['key'] }, 'This kind of credential is not accepted here'],
    [
      'a shorter lifetime',
      { maxLifetimeSeconds: 299 },
      'The access token is valid for longer than is accepted',
    ],
  ])('refuses a caller that it asks %s of', async (_what, setting, detail) => {
    const { get, handled } = serve([as(good), authNarrowing(setting)])
    const reply = await get('/').expect(401)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'invalid-token', detail })
    expect(reply.headers['www-authenticate']).toBe(
      `${BEARER}, error="invalid_token", error_description="${detail}"`,
    )
    expect(handled()).toBe(0)
  })

  test('refuses nobody: 401 with the challenges of auth', async () => {
    const { get, handled } = serve([auth({ any: [key(), own()], optional: true }), authNarrowing({})], {
      clock,
    })
    const reply = await get('/').expect(401)
    expect(JSON.parse(reply.text).code).toBe('unauthenticated')
    expect(reply.headers['www-authenticate']).toBe(`Key name="key", ${BEARER}`)
    expect(handled()).toBe(0)
  })

  test('alone, without auth, refuses everyone', async () => {
    const { get, handled } = serve(authNarrowing({ methods: ['bearer'] }))
    await get('/').set('Authorization', token).expect(401).expect('WWW-Authenticate', BEARER)
    expect(handled()).toBe(0)
  })

  test('counts everything that was proven', async () => {
    const lasting = key('key', { issuedAt: 1, expiresAt: 1_000_000 })
    const stages = (setting: object) => [auth({ all: [own(), lasting] }), authNarrowing(setting)]
    const status = async (setting: object) => {
      const { get } = serve(stages(setting), { clock, fetch: issuer.fetch })
      return (await get('/').set('Authorization', token).set('X-Key', 'good')).status
    }
    expect(await status({ methods: ['key'] })).toBe(200)
    expect(await status({ methods: ['other'] })).toBe(401)
    expect(await status({ maxLifetimeSeconds: 300 })).toBe(401)
  })

  test('needs a principal, and is called auth', () => {
    expect(authNarrowing({}).stage).toMatchObject({ name: 'auth', needs: ['principal'] })
  })

  test.each([
    ['optional', { optional: true }, 'auth.optional cannot be true in a guard, which only tightens'],
    ['no methods', { methods: [] }, 'auth.methods must name at least one method'],
    ['a method as text', { methods: 'bearer' }, 'auth.methods must name at least one method'],
    ['a lifetime of 0', { maxLifetimeSeconds: 0 }, 'auth.maxLifetimeSeconds must be an integer'],
    ['an unknown option', { any: [] }, 'auth has no option "any"'],
    ['false', false, 'auth must be an object of options'],
  ])('does not start with %s', (_what, setting, message) => {
    expect(() => authNarrowing(setting as never)).toThrow(ConfigError)
    expect(() => authNarrowing(setting as never)).toThrow(message)
  })
})
