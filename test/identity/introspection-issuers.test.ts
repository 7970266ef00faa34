import { setImmediate as turn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { auth } from '../../src/identity/auth.js'
import type { AuthNarrowing } from '../../src/identity/auth-options.js'
import { bearer } from '../../src/identity/bearer.js'
import type { Fault } from '../../src/identity/faults.js'
import {
  introspection,
  type IntrospectionIssuerOptions,
  type IntrospectionOptions,
} from '../../src/identity/introspection.js'
import { resourceMetadata } from '../../src/identity/resource-metadata.js'
import { revocations } from '../../src/identity/revocation.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import { createServices } from '../../src/kernel/services.js'
import { dpopClient, expectRefused, fakeClock, localIssuer, serve } from '../../src/testing/index.js'
import { ask } from '../support/ask.js'
import { expectTokenRefused } from '../support/refused-token.js'

const AUDIENCE = 'https://api.test'
const NAMES = ['https://a.test', 'https://b.test', 'https://c.test'] as const
type Name = (typeof NAMES)[number]
const [A, B, C] = NAMES

const entry = (issuer: Name, more: Partial<IntrospectionIssuerOptions> = {}): IntrospectionIssuerOptions => ({
  issuer,
  endpoint: `${issuer}/introspect`,
  clientId: `api-at-${issuer}`,
  clientSecret: `secret-at-${issuer}`,
  ...more,
})

type Said = Record<string, unknown> | Response | Error | 'hangs'

/** One API of several issuers, which answer what the test says; without that, a token is active where its text names the issuer. */
function setUp(
  issuers: readonly IntrospectionIssuerOptions[],
  general: Partial<IntrospectionOptions> = {},
  narrowing: AuthNarrowing = {},
) {
  const clock = fakeClock(1_800_000_000_000)
  const asked: { issuer: Name; token: string; authorization: string }[] = []
  const logged: string[] = []
  const say = (level: string) => (message: string, details?: object) =>
    void logged.push(`${level} ${message} ${inspect(details)}`)
  const answers = new Map<Name, (token: string) => Said>()
  const active = (claims: object = {}) => {
    const now = Math.floor(clock.now() / 1000)
    return { active: true, aud: AUDIENCE, sub: 'user-1', iat: now, exp: now + 300, ...claims }
  }
  const usual = (issuer: Name) => (token: string) =>
    token.includes(issuer.at(8)!.toUpperCase()) ? active({ iss: issuer }) : { active: false }
  const fetch = (async (url: string, init: RequestInit) => {
    const issuer = new URL(url).origin as Name
    const token = new URLSearchParams(init.body as string).get('token')!
    const { authorization } = init.headers as Record<string, string>
    asked.push({ issuer, token, authorization: authorization! })
    const said = (answers.get(issuer) ?? usual(issuer))(token)
    if (said === 'hangs') return new Promise(() => undefined)
    if (said instanceof Error) throw said
    return said instanceof Response ? said : Response.json(said)
  }) as typeof globalThis.fetch
  const log = { info: say('info'), warn: say('warn'), error: say('error') }
  const method = introspection({ issuers, audience: AUDIENCE, ...general })
  let principal: Principal | undefined
  const api = serve(auth({ any: [method], ...narrowing }), {
    clock,
    fetch,
    log,
    handler(req, res) {
      principal = contextOf(req)?.principal
      res.end()
    },
  })
  const sent = (token: string) => api.get('/orders').set('Authorization', `Bearer ${token}`)
  return {
    ...api,
    asked,
    logged,
    active,
    sent,
    stage: method.stage,
    services: createServices({ clock, fetch, log }),
    principal: () => principal,
    answers: (issuer: Name, next: (token: string) => Said) => void answers.set(issuer, next),
    /** Who was asked since the last time. */
    questions: () => asked.splice(0).map(({ issuer, token }) => `${issuer.at(8)} ${token}`),
    async refuses(token: string, rule: Fault, send: (token: string) => ReturnType<typeof sent> = sent) {
      await expectTokenRefused(() => send(token), rule, api.handled)
    },
    async cannotTell(token: string) {
      const before = api.handled()
      const reply = await sent(token).expect(503).expect('Retry-After', '1')
      expect(JSON.parse(reply.text)).toMatchObject({ code: 'identity-provider-unavailable' })
      expect(reply.headers['www-authenticate']).toBeUndefined()
      expect(api.handled()).toBe(before)
    },
  }
}

const pair = (
  first: Partial<IntrospectionIssuerOptions> = {},
  second: Partial<IntrospectionIssuerOptions> = {},
) => [entry(A, { prefix: 'a_', ...first }), entry(B, { prefix: ['b_', 'bb-'], ...second })]

describe('a token is shown to its own issuer and to no other:', () => {
  test('by what it starts with', async () => {
    const { sent, questions, principal } = setUp(pair())
    await sent('a_A').expect(200)
    expect(principal()).toMatchObject({ id: `${A} user-1`, issuer: A, method: 'introspection' })
    await sent('b_B').expect(200)
    await sent('bb-B').expect(200)
    expect(principal()).toMatchObject({ id: `${B} user-1`, issuer: B })
    expect(questions()).toEqual(['a a_A', 'b b_B', 'b bb-B'])
  })

  test('with the password of the API there, and no other', async () => {
    const { sent, asked } = setUp(pair())
    await sent('a_A').expect(200)
    await sent('b_B').expect(200)
    const basic = (issuer: string) =>
      [`api-at-${issuer}`, `secret-at-${issuer}`].map((text) => encodeURIComponent(text)).join(':')
    expect(
      asked.map(({ authorization }) => Buffer.from(authorization.slice(6), 'base64').toString()),
    ).toEqual([basic(A), basic(B)])
  })

  test('made up or not', async () => {
    const { refuses, questions } = setUp(pair())
    await refuses('a_B', 'token-inactive')
    expect(questions()).toEqual(['a a_B'])
  })

  test('nobody is asked about a token that starts otherwise', async () => {
    const { refuses, questions } = setUp(pair())
    for (const token of ['c_A', 'A', 'A_A', '_a_A', 'a', 'b-B', 'a-A']) await refuses(token, 'token-issuer')
    expect(questions()).toEqual([])
  })

  test('the one without a prefix is asked about all others', async () => {
    const { sent, questions, refuses } = setUp([entry(A), entry(B, { prefix: 'b_' })])
    await sent('A').expect(200)
    await sent('b_B').expect(200)
    await refuses('B', 'token-inactive')
    expect(questions()).toEqual(['a A', 'b b_B', 'a B'])
  })

  test('a JWT says whose it is, whatever it starts with', async () => {
    const { sent, questions, refuses, answers, active } = setUp([
      entry(A, { prefix: 'e' }),
      entry(B),
      entry(C, { prefix: 'c_' }),
    ])
    for (const name of NAMES) answers(name, () => active())
    const jwt = (iss: unknown) => localIssuer().mint({ iss })
    const [ofA, ofB, ofC] = NAMES.map(jwt)
    await sent(ofA!).expect(200)
    await sent(ofB!).expect(200)
    await sent(ofC!).expect(200)
    expect(questions()).toEqual([`a ${ofA}`, `b ${ofB}`, `c ${ofC}`])
    await refuses(jwt('https://elsewhere.test'), 'token-issuer')
    await refuses(jwt(`${A}/`), 'token-issuer')
    expect(questions()).toEqual([])
    const nameless = jwt(undefined)
    await sent(nameless).expect(200)
    expect(questions()).toEqual([`a ${nameless}`])
  })

  test('a JWT inside of an opaque token says nothing', async () => {
    const { sent, questions, answers, active } = setUp([entry(A, { prefix: ['a_', 'aa__'] }), entry(B)])
    for (const name of [A, B]) answers(name, () => active())
    const inside = localIssuer().mint({ iss: B })
    for (const token of [`a_${inside}`, `aa__${inside}`]) {
      await sent(token).expect(200)
      expect(questions()).toEqual([`a ${token}`])
    }
  })

  test('a JWT that is spelled in another way is not shown to whoever could spell it right', async () => {
    const { refuses, questions, answers } = setUp([entry(A, { prefix: 'a_' }), entry(B)])
    answers(A, () => ({ active: false }))
    const jwt = localIssuer().mint({ iss: A })
    const [header, payload, signature] = jwt.split('.')
    const spelled = [`${jwt}=`, `${jwt}==`, `${jwt}~`, `${header}.${payload}.+${signature!.slice(1)}`]
    for (const token of spelled) await refuses(token, 'token-inactive')
    expect(questions()).toEqual(spelled.map((token) => `a ${token}`))
  })

  test('an answer in the name of another issuer opens nothing', async () => {
    const { refuses, answers, active, questions } = setUp(pair())
    answers(A, () => active({ iss: B }))
    await refuses('a_A', 'token-issuer')
    expect(questions()).toEqual(['a a_A'])
  })

  test('one subject at two issuers is two principals', async () => {
    const { sent, principal, answers, active } = setUp(pair())
    answers(A, () => active())
    answers(B, () => active())
    await sent('a_x').expect(200)
    const first = principal()?.id
    await sent('b_x').expect(200)
    expect([first, principal()?.id]).toEqual([`${A} user-1`, `${B} user-1`])
  })

  test('also where only one issuer is listed', async () => {
    const { sent, refuses, questions } = setUp([entry(A, { prefix: 'a_' })])
    await sent('a_A').expect(200)
    await refuses('A', 'token-issuer')
    expect(questions()).toEqual(['a a_A'])

    const plain = setUp([entry(A)])
    await plain.sent('A').expect(200)
    await plain.refuses(localIssuer().mint({ iss: B }), 'token-issuer')
    expect(plain.questions()).toEqual(['a A'])
  })
})

describe('an issuer that is away', () => {
  test('is no matter of the tokens of the others', async () => {
    const { sent, cannotTell, answers, logged, questions, clock, handled } = setUp(pair())
    answers(A, () => new TypeError('fetch failed'))
    for (let n = 0; n < 5; n++) {
      await cannotTell(`a_A${n}`)
      await sent(`b_B${n}`).expect(200)
    }
    // Its breaker is open, and that of the other one is not.
    expect(questions().filter((one) => one.startsWith('a'))).toHaveLength(3)
    expect(handled()).toBe(5)
    expect(logged.map((line) => line.split(':').slice(0, 2).join(':'))).toEqual([
      `error introspection at ${A}`,
    ])

    answers(A, () => ({ active: false }))
    clock.advance(1_000)
    await sent('a_A').expect(401)
    expect(logged.at(-1)).toContain(`warn introspection at ${A}: the issuer answers again`)
  })

  test('that hangs takes none of the turns of the others', async () => {
    const { stage, services, answers, clock } = setUp(pair({ maxCalls: 1 }, { maxCalls: 1 }))
    answers(A, () => 'hangs')
    const hanging = ['a_1', 'a_2', 'a_3'].map((token) => ask(stage, services, `Bearer ${token}`))
    for (let n = 0; n < 20; n++) await turn()
    expect((await ask(stage, services, 'Bearer b_B')).status).toBe(200)
    clock.advance(1_000)
    for (const one of hanging) expect((await one).status).toBe(503)
  })

  test('what is known of its tokens is served meanwhile', async () => {
    const { sent, answers, cannotTell, clock } = setUp(pair())
    await sent('a_A').expect(200)
    answers(A, () => new Response('', { status: 500 }))
    await sent('a_A').expect(200)
    clock.advance(30_000)
    await cannotTell('a_A')
  })

  test('keeps an API from being ready that was to find its endpoint', async () => {
    const found: string[] = []
    const fetch = (async (url: string) => {
      found.push(url)
      const issuer = new URL(url).origin
      if (issuer === B) throw new TypeError('fetch failed')
      return Response.json({ issuer, introspection_endpoint: `${issuer}/introspect` })
    }) as typeof globalThis.fetch
    const discovering = (names: readonly Name[]) =>
      introspection({
        audience: AUDIENCE,
        issuers: names.map((issuer, index) => ({
          ...{ issuer, prefix: `${'abc'[index]}_`, clientId: 'api', clientSecret: 'secret' },
        })),
      })
    await discovering([A, C]).stage.ready!(createServices({ fetch }))
    expect(found).toEqual([A, C].map((issuer) => `${issuer}/.well-known/openid-configuration`))
    await expect(discovering([A, B]).stage.ready!(createServices({ fetch }))).rejects.toThrow()
  })
})

describe('asked in turn, which has to be written,', () => {
  const inTurn = (more: Partial<IntrospectionOptions> = {}) =>
    setUp([entry(A), entry(B), entry(C, { prefix: 'c_' })], { dangerouslyShowTokensToOthers: true, ...more })

  test('the first that knows a token decides; one with a prefix sees none but its own', async () => {
    const { sent, questions, principal, refuses } = inTurn()
    await sent('A').expect(200)
    await sent('B').expect(200)
    expect(principal()).toMatchObject({ issuer: B })
    await sent('c_C').expect(200)
    expect(questions()).toEqual(['a A', 'a B', 'b B', 'c c_C'])
    await refuses('made-up', 'token-inactive')
    expect(questions()).toEqual(['a made-up', 'b made-up'])
  })

  test('a JWT is shown only to whom it names', async () => {
    const { sent, questions, answers, active } = inTurn()
    answers(B, () => active())
    const jwt = localIssuer().mint({ iss: B })
    await sent(jwt).expect(200)
    expect(questions()).toEqual([`b ${jwt}`])
  })

  test('what is known is not asked about again, and what is not known is asked where it was not yet', async () => {
    const { sent, questions, answers, clock, cannotTell } = inTurn()
    answers(B, () => new TypeError('fetch failed'))
    await cannotTell('B')
    await cannotTell('B')
    expect(questions()).toEqual(['a B', 'b B', 'b B'])
    answers(B, () => ({ active: false }))
    await sent('B').expect(401)
    expect(questions()).toEqual(['b B'])
    clock.advance(5_000)
    await sent('A').expect(200)
    await sent('A').expect(200)
    expect(questions()).toEqual(['a A'])
  })

  test.each<[string, (fail: Said) => Parameters<ReturnType<typeof setUp>['answers']>[]]>([
    ['the first', (fail) => [[A, () => fail]]],
    ['the last', (fail) => [[B, () => fail]]],
    [
      'both',
      (fail) => [
        [A, () => fail],
        [B, () => fail],
      ],
    ],
  ])('nobody calls a token bad while one is away: %s', async (_what, broken) => {
    for (const fail of [
      new TypeError('fetch failed'),
      new Response('', { status: 500 }),
      Response.json({ error: 'invalid_request' }, { status: 400 }),
    ]) {
      const { cannotTell, answers } = inTurn({ cacheMs: 0 })
      for (const [name, answer] of broken(fail)) answers(name, (token) => answer(token))
      await cannotTell('made-up')
    }
  })

  test('a token that another one knows is good, while the first is away', async () => {
    const { sent, answers, principal, cannotTell } = inTurn()
    answers(A, () => new TypeError('fetch failed'))
    for (let n = 0; n < 5; n++) await sent(`B${n}`).expect(200)
    expect(principal()).toMatchObject({ issuer: B })
    await cannotTell('A')
  })

  test('one that knows the token and finds it bad is the last that is asked', async () => {
    const { refuses, answers, active, questions } = inTurn()
    answers(A, () => active({ aud: 'https://payroll.test' }))
    await refuses('B', 'token-audience')
    expect(questions()).toEqual(['a B'])
  })

  test('one that says it is of another issuer has not known it', async () => {
    const { sent, answers, active, questions, principal } = inTurn()
    answers(A, () => active({ iss: B, sub: 'admin' }))
    await sent('B').expect(200)
    expect(principal()).toMatchObject({ id: `${B} user-1` })
    expect(questions()).toEqual(['a B', 'b B'])
  })
})

describe('settings of one issuer', () => {
  test('are its audience', async () => {
    const { sent, refuses, answers, active } = setUp(pair({}, { audience: 'orders' }))
    answers(B, (token) => active({ aud: token.slice(2) === 'own' ? 'orders' : AUDIENCE }))
    await sent('a_A').expect(200)
    await sent('b_own').expect(200)
    await refuses('b_B', 'token-audience')
  })

  test('are how long answers serve', async () => {
    const { sent, questions, clock } = setUp(pair({ cacheMs: 1_000 }, { cacheMs: 0 }))
    for (const token of ['a_A', 'a_A', 'b_B', 'b_B']) await sent(token).expect(200)
    expect(questions()).toEqual(['a a_A', 'b b_B', 'b b_B'])
    for (const token of ['a_bad', 'a_bad', 'b_bad', 'b_bad']) await sent(token).expect(401)
    expect(questions()).toEqual(['a a_bad', 'b b_bad', 'b b_bad'])
    clock.advance(1_000)
    await sent('a_A').expect(200)
    expect(questions()).toEqual(['a a_A'])
  })

  test('are how long it may take', async () => {
    const { stage, services, answers, clock } = setUp(pair({}, { timeoutMs: 5_000 }))
    answers(A, () => 'hangs')
    answers(B, () => 'hangs')
    const [a, b] = ['a_1', 'b_1'].map((token) => ask(stage, services, `Bearer ${token}`))
    for (let n = 0; n < 20; n++) await turn()
    clock.advance(1_000)
    expect((await a!).problem).toMatchObject({ status: 503, rule: 'introspection-unavailable' })
    clock.advance(3_999)
    for (let n = 0; n < 20; n++) await turn()
    expect(await Promise.race([b!.then(({ status }) => status), turn('open')])).toBe('open')
    clock.advance(1)
    expect((await b!).status).toBe(503)
  })

  test('are lifetimes, stricter and looser; a route only narrows them', async () => {
    const strict = setUp(pair({}, { maxLifetimeSeconds: 299 }))
    await strict.sent('a_A').expect(200)
    await strict.refuses('b_B', 'token-lifetime')
    const loose = setUp(pair({}, { maxLifetimeSeconds: 300 }), { maxLifetimeSeconds: 299 })
    await loose.refuses('a_A', 'token-lifetime')
    await loose.sent('b_B').expect(200)
    const narrowed = setUp(
      pair({}, { maxLifetimeSeconds: 300 }),
      { maxLifetimeSeconds: 299 },
      { maxLifetimeSeconds: 299 },
    )
    await narrowed.refuses('b_B', 'token-lifetime')
  })

  test('are how far clocks differ', async () => {
    const { sent, refuses, answers, active, clock } = setUp(pair({}, { clockToleranceSeconds: 0 }))
    const early = () => active({ iat: Math.floor(clock.now() / 1000) + 30 })
    answers(A, early)
    answers(B, early)
    await sent('a_A').expect(200)
    await refuses('b_B', 'token-not-yet-valid')
  })

  test('are what was revoked', async () => {
    const revocation = revocations({ store: memory() })
    const { sent, refuses, clock } = setUp(pair({}, { revocation: false }), { revocation })
    for (const issuer of [A, B]) await revocation.revokeSubject(issuer, 'user-1', clock.now() / 1000 + 1)
    await refuses('a_A', 'subject-revoked')
    await sent('b_B').expect(200)
  })

  test('are certificates', async () => {
    const { sent, refuses } = setUp(pair({}, { certificateBound: true }))
    await sent('a_A').expect(200)
    await refuses('b_B', 'token-unbound')
  })

  test('are proofs of possession, and the bound lifetime', async () => {
    const api = setUp(pair({}, { dpop: 'required', maxBoundLifetimeSeconds: 299 }), { resource: AUDIENCE })
    const client = dpopClient({ clock: api.clock })
    const proven = (token: string) =>
      api.get('/orders').set(client.fields('GET', `${AUDIENCE}/orders`, token))
    const bound = (token: string) =>
      api.active({
        cnf: { jkt: client.jkt },
        ...(token.endsWith('short') && { exp: Math.floor(api.clock.now() / 1000) + 299 }),
      })
    await api.sent('a_A').expect(200)
    await api.refuses('b_B', 'token-unbound')
    api.answers(A, bound)
    api.answers(B, bound)
    await proven('b_short').expect(200)
    expect(api.principal()).toMatchObject({ issuer: B, bound: ['dpop'] })
    await api.refuses('b_short', 'token-bound')
    await api.refuses('b_long', 'token-lifetime', proven)
    await api.refuses('a_short', 'token-bound', proven)
  })
})

test('a flood of made-up tokens of one issuer pushes out nothing of another', async () => {
  const { sent, questions } = setUp(pair(), { cacheEntries: 8 })
  await sent('b_bad').expect(401)
  await sent('b_B').expect(200)
  for (let n = 0; n < 40; n++) await sent(`a_made-up-${n}`).expect(401)
  questions()
  await sent('b_bad').expect(401)
  await sent('b_B').expect(200)
  expect(questions()).toEqual([])
})

describe.each([false, true])('beside bearer (reversed: %s)', (reversed) => {
  test('JWTs of its issuers are its own, all others go to their own issuer, or to nobody', async () => {
    const clock = fakeClock(1_800_000_000_000)
    const issuer = localIssuer({ clock })
    const asked: string[] = []
    const fetch = (async (url: string, init: RequestInit) => {
      if (url.startsWith(issuer.issuer)) return issuer.fetch(url, init)
      const token = new URLSearchParams(init.body as string).get('token')!
      asked.push(`${new URL(url).origin} ${token}`)
      const now = clock.now() / 1000
      return Response.json({ active: true, aud: AUDIENCE, sub: 'u', iat: now, exp: now + 60 })
    }) as typeof globalThis.fetch
    const methods = [
      bearer({ issuer: issuer.issuer, audience: issuer.audience }),
      introspection({ issuers: pair(), audience: AUDIENCE }),
    ]
    const seen: (string | undefined)[] = []
    const { get } = serve(auth(reversed ? methods.reverse() : methods), {
      clock,
      fetch,
      handler(req, res) {
        seen.push(contextOf(req)?.principal?.issuer)
        res.end()
      },
    })
    const send = (token: string) => get('/').set('Authorization', `Bearer ${token}`)
    const ofB = issuer.mint({ iss: B })
    await send(issuer.mint()).expect(200)
    await send('a_1').expect(200)
    await send(ofB).expect(200)
    await send(`${issuer.mint().slice(0, -8)}AAAAAAAA`).expect(expectRefused('invalid-token'))
    await send(issuer.mint({ iss: 'https://elsewhere.test' })).expect(expectRefused('invalid-token'))
    await send('nobody-s').expect(expectRefused('invalid-token'))
    expect(seen).toEqual([issuer.issuer, A, B])
    expect(asked).toEqual([`${A} a_1`, `${B} ${ofB}`])
  })
})

describe.each([false, true])('tokens of bearer are shown to nobody (reversed: %s)', (reversed) => {
  const setUpBoth = (jwts: object, opaque: object, narrowing: AuthNarrowing = {}) => {
    const clock = fakeClock(1_800_000_000_000)
    const issuer = localIssuer({ issuer: A, audience: AUDIENCE, clock })
    const client = dpopClient({ clock })
    const asked: string[] = []
    const fetch = (async (url: string, init: RequestInit) => {
      if (url.startsWith(A)) return issuer.fetch(url, init)
      asked.push(new URLSearchParams(init.body as string).get('token')!)
      const now = clock.now() / 1000
      return Response.json({
        ...{ active: true, aud: AUDIENCE, sub: 'u', iat: now, exp: now + 60 },
        ...((init.body as string).includes('bound') && { cnf: { jkt: client.jkt } }),
      })
    }) as typeof globalThis.fetch
    const methods = [
      bearer({ issuer: A, audience: AUDIENCE, resource: AUDIENCE, ...jwts }),
      introspection({
        ...{ issuer: B, endpoint: `${B}/introspect`, clientId: 'api', clientSecret: 'secret' },
        ...{ audience: AUDIENCE, resource: AUDIENCE, ...opaque },
      }),
    ]
    const api = serve(auth({ any: reversed ? methods.reverse() : methods, ...narrowing }), { clock, fetch })
    const fields = (token: string) => client.fields('GET', `${AUDIENCE}/orders`, token)
    return {
      ...{ ...api, asked, client, mint: issuer.mint },
      sent: (token: string) => api.get('/orders').set('Authorization', `Bearer ${token}`),
      proven: (token: string) => api.get('/orders').set(fields(token)),
    }
  }

  test('with a scheme that only the other accepts', async () => {
    const { asked, client, mint, sent, proven, handled } = setUpBoth({}, { dpop: 'allowed' })
    await proven('bound').expect(200)
    await sent(mint()).expect(200)
    expect(asked.splice(0)).toEqual(['bound'])
    const before = handled()
    for (const token of [mint(), mint({ cnf: { jkt: client.jkt } }), `${mint()}=`])
      await proven(token).expect(expectRefused('unauthenticated'))
    expect(asked).toEqual([])
    expect(handled()).toBe(before)
  })

  test.each<[string, object, object, AuthNarrowing]>([
    ['wants proofs', {}, { dpop: 'allowed' }, { dpop: 'required' }],
    ['wants none', { dpop: 'required' }, {}, { dpop: 'off' }],
  ])('where a route %s and bearer cannot', async (_what, jwts, opaque, narrowing) => {
    const { asked, client, mint, sent, proven, handled } = setUpBoth(jwts, opaque, narrowing)
    await (narrowing.dpop === 'required' ? proven('bound') : sent('plain')).expect(200)
    asked.length = 0
    const before = handled()
    for (const token of [mint(), mint({ cnf: { jkt: client.jkt } })]) {
      const reply = await sent(token).expect(expectRefused('invalid-token'))
      expect(JSON.parse(reply.text)).toMatchObject({ detail: 'This kind of credential is not accepted here' })
      await proven(token).expect(
        expectRefused(narrowing.dpop === 'required' ? 'invalid-token' : 'unauthenticated'),
      )
    }
    expect(asked).toEqual([])
    expect(handled()).toBe(before)
  })
})

test('metadata of the resource names all issuers', async () => {
  const method = introspection({ issuers: pair(), audience: AUDIENCE, resource: AUDIENCE })
  const { get } = serve(resourceMetadata({ auth: [method] }))
  const { body } = await get('/.well-known/oauth-protected-resource').expect(200)
  expect(body).toMatchObject({ authorization_servers: [A, B] })
})

describe('does not start', () => {
  const good = { audience: AUDIENCE, issuers: pair() }
  const at = 'introspection.issuers[1]'
  const second = (more: object) => ({ ...good, issuers: [pair()[0], { ...pair()[1], ...more }] })
  test.each<[string, object, string]>([
    ['without an issuer', { audience: AUDIENCE }, 'introspection needs one of `issuer'],
    ['with issuer and issuers', { ...good, issuer: A }, 'introspection needs one of `issuer'],
    ['with no issuer in the list', { ...good, issuers: [] }, 'introspection.issuers must list at least one'],
    ['with no list', { ...good, issuers: pair()[0] }, 'introspection.issuers must list at least one'],
    ['with null in the list', { ...good, issuers: [null] }, 'introspection.issuers[0] must be an object'],
    [
      'with an issuer twice',
      { ...good, issuers: [pair()[0], { ...pair()[1], issuer: A }] },
      'is listed twice',
    ],
    ['with an issuer with a space', second({ issuer: 'a b' }), `${at}.issuer must be the exact`],
    ['with an endpoint over http', second({ endpoint: 'http://b.test' }), `${at}.endpoint must be https`],
    ['with a slip', second({ prefixs: 'x' }), `${at} has no option "prefixs". Did you mean "prefix"?`],
    ['with what is for all', second({ cacheEntries: 1 }), `${at} has no option "cacheEntries"`],
    ['without an audience', { issuers: pair() }, 'introspection.issuers[0].audience must name this API'],
    ['without a password', second({ clientSecret: undefined }), `${at}.clientSecret is undefined`],
    ['without a client', second({ clientId: undefined }), `${at}.clientId must be the name`],
    ...(['endpoint', 'clientId', 'clientSecret', 'privateKey'] as const).map(
      (name): [string, object, string] => [
        `with ${name} for all`,
        { ...good, [name]: 'https://x.test' },
        `introspection.${name} beside \`issuers\` would show`,
      ],
    ),
    ['with an empty prefix', second({ prefix: '' }), `${at}.prefix must be a text`],
    ['with no prefix in the list', second({ prefix: [] }), `${at}.prefix must be a text`],
    ['with a prefix that no token has', second({ prefix: 'a b' }), `${at}.prefix must be a text`],
    ['with a prefix that ends a token', second({ prefix: 'b=' }), `${at}.prefix must be a text`],
    ['with a prefix that is a RegExp', second({ prefix: /^b_/ }), `${at}.prefix must be a text`],
    ['with a prefix by a slip', second({ prefix: undefined }), `${at}.prefix is undefined`],
    ['with one prefix for two', second({ prefix: 'a_' }), 'is the beginning of one of'],
    [
      'with a prefix that begins another',
      second({ prefix: 'a_b' }),
      `the prefix of ${A} is the beginning of one of ${B}`,
    ],
    [
      'with two prefixes of one, of which one begins the other',
      second({ prefix: ['b', 'b_'] }),
      'is the beginning of one of',
    ],
    [
      'with two issuers whose tokens nobody can tell apart',
      { ...good, issuers: [entry(A), entry(B), entry(C, { prefix: 'c_' })] },
      `${A} and ${B} have no prefix`,
    ],
    [
      'with a danger that is none',
      { ...good, issuers: [entry(A), pair()[1]], dangerouslyShowTokensToOthers: true },
      'each issuer is known by its tokens; leave it out',
    ],
    [
      'with a danger for one issuer',
      { ...entry(A), audience: AUDIENCE, dangerouslyShowTokensToOthers: true },
      'is for several issuers; leave it out',
    ],
    ['with a danger as text', { ...good, dangerouslyShowTokensToOthers: 'yes' }, 'must be true or false'],
    ['with answers for a day', second({ cacheMs: 86_400_000 }), `${at}.cacheMs must be`],
    ['with no call', second({ maxCalls: 0 }), `${at}.maxCalls must be`],
    ['with no time', second({ timeoutMs: 0 }), `${at}.timeoutMs must be`],
    ['with no life', second({ maxLifetimeSeconds: 0 }), `${at}.maxLifetimeSeconds must be`],
    [
      'with a binding by a slip',
      second({ certificateBound: undefined }),
      `${at}.certificateBound is undefined`,
    ],
    ['with proofs for no URL', second({ dpop: 'required' }), "write `resource: 'https://api.example.com'`"],
    [
      'with what is wrong for all',
      { ...second({ cacheMs: 1 }), cacheMs: -1 },
      'introspection.cacheMs must be',
    ],
    [
      'with an audience that is wrong for all',
      { issuers: [{ ...pair()[0], audience: 'a' }], audience: '' },
      'introspection.audience must name',
    ],
    [
      'with a prefix and one issuer',
      { ...entry(A), audience: AUDIENCE, prefix: 'a_' },
      'has no option "prefix"',
    ],
  ])('%s', (_what, options, message) => {
    expect(() => introspection(options as IntrospectionOptions)).toThrow(ConfigError)
    expect(() => introspection(options as IntrospectionOptions)).toThrow(message)
    expect(() => introspection(options as IntrospectionOptions)).not.toThrow('secret-at')
  })
})

describe('says how it is set', () => {
  test('what all share once, and what differs with each', () => {
    const described = introspection({
      issuers: [entry(A), entry(B, { prefix: 'b_', cacheMs: 5, maxLifetimeSeconds: 60 })],
      audience: AUDIENCE,
    }).stage.describe!()
    const each = { audience: [AUDIENCE], proof: 'client_secret_basic' }
    expect(described).toEqual({
      issuers: [
        {
          ...{ issuer: A, endpoint: `${A}/introspect`, client: `api-at-${A}`, ...each },
          ...{ cacheMs: 30_000, maxLifetimeSeconds: 86_400 },
        },
        {
          ...{ issuer: B, endpoint: `${B}/introspect`, client: `api-at-${B}`, ...each },
          ...{ prefix: ['b_'], cacheMs: 5, maxLifetimeSeconds: 60 },
        },
      ],
      maxCalls: 16,
      timeoutMs: 1_000,
      clockToleranceSeconds: 60,
      cacheEntries: 10_000,
      maxTokenBytes: 8_192,
      realm: 'api',
    })
    expect(JSON.stringify(described)).not.toContain('secret-at')
  })

  test('and the check finds what it gives away', () => {
    const revocation = revocations({ store: memory() })
    const { stage } = introspection({
      issuers: [
        entry(A),
        entry(B, { maxLifetimeSeconds: 90_000 }),
        entry(C, { prefix: 'c_', revocation: false }),
      ],
      audience: AUDIENCE,
      dangerouslyShowTokensToOthers: true,
      revocation,
    })
    expect(stage.describe!()).toMatchObject({ dangerouslyShowTokensToOthers: true })
    expect(stage.findings!().map(({ code, severity, cause }) => [code, severity, cause])).toEqual([
      ['introspection-tokens-shown', 'high', expect.stringContaining(`asks ${A}, then ${B}: each`)],
      ['introspection-long-lifetime', 'medium', expect.stringContaining(`is 90000 for ${B}:`)],
      ['introspection-revocation-off', 'low', expect.stringContaining(`for ${C}, and for others it is`)],
    ])
    expect(introspection({ issuers: pair(), audience: AUDIENCE }).stage.findings!()).toEqual([])
  })
})
