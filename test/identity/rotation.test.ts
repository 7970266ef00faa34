import { bearer, type BearerOptions } from '../../src/identity/bearer.js'
import { createServices } from '../../src/kernel/services.js'
import { fakeClock, localIssuer, serve } from '../../src/testing/index.js'
import { ask } from '../support/ask.js'

function setUp(options: Partial<BearerOptions> = {}) {
  const clock = fakeClock()
  const issuer = localIssuer({ clock })
  const quiet = () => undefined
  const log = { info: quiet, warn: quiet, error: quiet }
  const middleware = bearer({ issuer: issuer.issuer, audience: issuer.audience, ...options })
  const services = createServices({ clock, log, fetch: issuer.fetch })
  const send = (token: string) => ask(middleware.stage, services, `Bearer ${token}`)
  return { clock, issuer, middleware, services, send, stage: middleware.stage }
}

/** Lets pending work go on until `condition` holds. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let turns = 0; turns < 10_000; turns++) {
    if (await condition()) return
    await new Promise(setImmediate)
  }
  throw new Error('it never came true')
}

test('the first request finds the keys: one call for metadata, one for keys', async () => {
  const { issuer, send } = setUp()
  expect((await send(issuer.mint())).status).toBe(200)
  expect((await send(issuer.mint())).status).toBe(200)
  expect(issuer.calls).toEqual({ metadata: 1, keys: 1 })
})

test('300 first requests at once cost one fetch, and all are served', async () => {
  const { issuer, send } = setUp()
  const answers = await Promise.all(Array.from({ length: 300 }, () => send(issuer.mint())))
  expect(issuer.calls).toEqual({ metadata: 1, keys: 1 })
  expect(answers.every(({ status }) => status === 200)).toBe(true)
})

describe('a new key', () => {
  test('is used at once: no good token is refused, and it costs one fetch', async () => {
    const { issuer, send, clock } = setUp()
    await send(issuer.mint())
    clock.advance(60_000)
    const old = issuer.mint()
    issuer.rotate()

    const answers = await Promise.all([
      ...Array.from({ length: 50 }, () => send(issuer.mint())),
      ...Array.from({ length: 50 }, () => send(old)),
    ])

    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(issuer.calls.keys).toBe(2)
  })

  test('without a kid is found as well', async () => {
    const { issuer, send, clock } = setUp()
    const mint = () => issuer.mint({}, { header: { kid: undefined } })
    expect((await send(mint())).status).toBe(200)
    clock.advance(60_000)
    issuer.rotate({ withdraw: true })
    expect((await send(mint())).status).toBe(200)
  })

  test('that is asked for in the second after a fetch waits for the next one', async () => {
    const { issuer, send, clock } = setUp()
    await send(issuer.mint())
    clock.advance(300)
    issuer.rotate()
    const answer = send(issuer.mint())
    clock.advance(700)
    expect((await answer).status).toBe(200)
    expect(issuer.calls.keys).toBe(2)
  })
})

describe('a withdrawn key', () => {
  test('is refused at once, also for tokens that were verified before', async () => {
    const { issuer, send, clock } = setUp()
    const old = issuer.mint()
    expect((await send(old)).status).toBe(200)
    clock.advance(60_000)
    issuer.rotate({ withdraw: true })
    expect((await send(issuer.mint())).status).toBe(200)

    const { status, problem } = await send(old)

    expect(status).toBe(401)
    expect(problem).toMatchObject({ code: 'invalid-token', rule: 'token-key' })
  })

  test('makes the set be looked at again, once a second at most: the issuer may have slipped', async () => {
    const { issuer, send, clock } = setUp()
    const old = issuer.mint()
    await send(old)
    clock.advance(60_000)
    issuer.rotate({ withdraw: true })
    await send(issuer.mint())
    for (let n = 0; n < 10; n++) await send(old)
    expect(issuer.calls.keys).toBe(2)
    clock.advance(1_000)
    for (let n = 0; n < 10; n++) expect((await send(old)).status).toBe(401)
    await until(async () => issuer.calls.keys === 3)
  })

  test('that some nodes of the issuer still publish is refused by the newest set, and good again with the next', async () => {
    const { clock, issuer, stage } = setUp()
    const [x, y] = [issuer.mint(), (issuer.rotate(), issuer.mint())]
    const kidOf = (token: string) =>
      (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid
    let published = [kidOf(x)]
    let fetched = 0
    const balanced: typeof fetch = async (...call) => {
      const reply = await issuer.fetch(...call)
      const body = (await reply.json()) as { keys?: { kid: string }[] }
      if (body.keys === undefined) return Response.json(body)
      fetched++
      return Response.json({ keys: body.keys.filter(({ kid }) => published.includes(kid)) })
    }
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
    const services = createServices({ clock, log, fetch: balanced })
    const statusOf = async (token: string) => (await ask(stage, services, `Bearer ${token}`)).status

    expect(await statusOf(x)).toBe(200)
    clock.advance(1_000)
    published = [kidOf(y)]
    expect(await statusOf(y)).toBe(200)

    published = [kidOf(x), kidOf(y)]
    expect(await statusOf(x)).toBe(401)
    expect(fetched).toBe(2)
    clock.advance(1_000)
    expect(await statusOf(x)).toBe(401)
    await until(async () => (await statusOf(x)) === 200)
    expect(await statusOf(y)).toBe(200)
    expect(fetched).toBe(3)
  })

  test('is noticed within ten minutes although nothing else happens', async () => {
    const { issuer, send, clock } = setUp()
    const old = issuer.mint({ exp: Math.floor(clock.now() / 1000) + 3_600 })
    expect((await send(old)).status).toBe(200)
    issuer.rotate({ withdraw: true })
    clock.advance(600_000)
    expect((await send(old)).status).toBe(200)
    await until(async () => (await send(old)).status === 401)
    expect(issuer.calls.keys).toBe(2)
  })

  test('whose name another key took over does not lend it the old tokens', async () => {
    const clock = fakeClock()
    const first = localIssuer({ clock })
    const second = localIssuer({ clock })
    let current = first
    const services = createServices({ clock, fetch: (...call) => current.fetch(...call) })
    const { stage } = bearer({ issuer: first.issuer, audience: first.audience })
    const old = first.mint()
    expect((await ask(stage, services, `Bearer ${old}`)).status).toBe(200)

    current = second
    clock.advance(60_000)
    await ask(stage, services, `Bearer ${second.mint({}, { header: { kid: 'unheard-of' } })}`)

    expect((await ask(stage, services, `Bearer ${old}`)).problem?.rule).toBe('token-signature')
    expect((await ask(stage, services, `Bearer ${second.mint()}`)).status).toBe(200)
  })
})

describe('an unknown kid', () => {
  test('is refused after one fetch, with a challenge', async () => {
    const { issuer, send, clock } = setUp()
    await send(issuer.mint())
    clock.advance(1_000)
    const { status, problem } = await send(issuer.mint({}, { header: { kid: 'random' } }))
    expect(status).toBe(401)
    expect(problem).toMatchObject({
      rule: 'token-key',
      headers: {
        'WWW-Authenticate':
          'Bearer realm="api", error="invalid_token", error_description="The access token is signed with an unknown key"',
      },
    })
    expect(issuer.calls).toEqual({ metadata: 1, keys: 2 })
  })

  test('ten thousand of them cost one fetch and no 500, and good tokens do not notice', async () => {
    const { issuer, send, clock } = setUp()
    await send(issuer.mint())
    clock.advance(500)
    const flood = Array.from({ length: 10_000 }, (_, index) =>
      send(issuer.mint({}, { header: { kid: `random-${index}` }, key: issuer.key })),
    )
    const good = await Promise.all(Array.from({ length: 20 }, () => send(issuer.mint())))
    expect(good.every(({ status }) => status === 200)).toBe(true)

    clock.advance(500)
    const answers = await Promise.all(flood)

    const count = (status: number) => answers.filter((answer) => answer.status === status).length
    expect(issuer.calls.keys).toBe(2)
    expect(count(401)).toBe(100)
    expect(count(503)).toBe(9_900)
    expect(answers.find(({ status }) => status === 503)!.problem).toMatchObject({
      code: 'identity-provider-unavailable',
      rule: 'keys-crowded',
      headers: { 'Retry-After': '1' },
    })
  })

  test('of a token that is bad anyway costs no fetch and no wait', async () => {
    const { issuer, send, clock } = setUp()
    await send(issuer.mint())
    clock.advance(5_000)
    const header = { kid: 'random' }
    expect((await send(issuer.mint({ aud: 'other' }, { header }))).problem?.rule).toBe('token-audience')
    expect((await send(issuer.mint({ iat: 1, exp: 2 }, { header }))).problem?.rule).toBe('token-expired')
    expect(issuer.calls.keys).toBe(1)
  })
})

describe('a provider that is away', () => {
  test('cold: 503 with Retry-After, never 401, and it recovers by itself', async () => {
    const { clock, issuer, middleware } = setUp()
    const { get, handled } = serve(middleware, { clock, fetch: issuer.fetch })
    const send = () => get('/').set('Authorization', `Bearer ${issuer.mint()}`)
    issuer.down()

    const reply = await send().expect(503).expect('Retry-After', '1')
    expect(JSON.parse(reply.text).code).toBe('identity-provider-unavailable')
    expect(reply.headers['www-authenticate']).toBeUndefined()
    expect(handled()).toBe(0)

    issuer.up()
    clock.advance(1_000)
    await send().expect(200)
  })

  test('cold: a hundred requests cost one attempt', async () => {
    const { issuer, send } = setUp()
    issuer.down()
    const answers = await Promise.all(Array.from({ length: 100 }, () => send(issuer.mint())))
    expect(answers.every(({ status }) => status === 503)).toBe(true)
    for (let n = 0; n < 100; n++) expect((await send(issuer.mint())).status).toBe(503)
    expect(issuer.calls).toEqual({ metadata: 1, keys: 0 })
  })

  test('cold and hanging: 503 after a second', async () => {
    const { issuer, send, clock } = setUp()
    issuer.hang()
    const answer = send(issuer.mint())
    clock.advance(1_000)
    expect((await answer).problem).toMatchObject({
      status: 503,
      rule: 'keys-late',
      headers: { 'Retry-After': '1' },
    })
  })

  test('warm: nobody notices for an hour', async () => {
    const { issuer, send, clock } = setUp()
    await send(issuer.mint())
    const kept = issuer.mint({ exp: Math.floor(clock.now() / 1000) + 7_200 })
    expect((await send(kept)).status).toBe(200)
    issuer.down()
    for (let minute = 1; minute < 60; minute++) {
      clock.advance(60_000)
      expect((await send(issuer.mint())).status).toBe(200)
      expect((await send(kept)).status).toBe(200)
    }
    clock.advance(60_000)
    expect((await send(issuer.mint())).status).toBe(503)
    expect((await send(kept)).status).toBe(503)

    issuer.up()
    clock.advance(1_000)
    expect((await send(kept)).status).toBe(200)
  })

  test('warm: an unknown kid is 503 and not 401, because the key may be new', async () => {
    const { issuer, send, clock } = setUp()
    await send(issuer.mint())
    clock.advance(60_000)
    issuer.down()
    issuer.rotate()
    expect((await send(issuer.mint())).status).toBe(503)
    issuer.up()
    clock.advance(1_000)
    expect((await send(issuer.mint())).status).toBe(200)
  })

  test('answers bad tokens as bad all the same', async () => {
    const { issuer, send } = setUp()
    issuer.down()
    expect((await send('a.b.c')).status).toBe(401)
    expect((await send(issuer.mint({ aud: 'other' }))).status).toBe(401)
  })

  test('of one issuer does not touch another', async () => {
    const clock = fakeClock()
    const a = localIssuer({ clock, issuer: 'https://a.test' })
    const b = localIssuer({ clock, issuer: 'https://b.test' })
    a.down()
    const services = createServices({
      clock,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      fetch: (input, init) => ((input as string).startsWith('https://a.test') ? a : b).fetch(input, init),
    })
    const { stage } = bearer({ issuer: [a.issuer, b.issuer], audience: a.audience })
    expect((await ask(stage, services, `Bearer ${a.mint()}`)).status).toBe(503)
    expect((await ask(stage, services, `Bearer ${b.mint()}`)).status).toBe(200)
  })
})

describe('two issuers (ASVS 6.8.1)', () => {
  function both() {
    const clock = fakeClock()
    const a = localIssuer({ clock, issuer: 'https://a.test' })
    const b = localIssuer({ clock, issuer: 'https://b.test', audience: 'https://other.test' })
    const services = createServices({
      clock,
      fetch: (input, init) => ((input as string).startsWith('https://a.test') ? a : b).fetch(input, init),
    })
    const { stage } = bearer({
      audience: a.audience,
      issuers: [{ issuer: a.issuer }, { issuer: b.issuer, audience: b.audience, algorithms: ['ES256'] }],
    })
    return { a, b, send: (token: string) => ask(stage, services, `Bearer ${token}`) }
  }

  test('with the same subject are two principals', async () => {
    const { a, b, send } = both()
    const [first, second] = [await send(a.mint()), await send(b.mint())]
    expect(first.ctx.principal?.id).toBe('https://a.test user-1')
    expect(second.ctx.principal?.id).toBe('https://b.test user-1')
  })

  test('cannot speak for each other', async () => {
    const { a, b, send } = both()
    expect((await send(b.mint({ iss: a.issuer, aud: a.audience }))).problem?.rule).toBe('token-signature')
    expect((await send(a.mint({ iss: b.issuer, aud: b.audience }))).problem?.rule).toBe('token-signature')
  })

  test('each have their own audience', async () => {
    const { a, b, send } = both()
    expect((await send(a.mint({ aud: b.audience }))).problem?.rule).toBe('token-audience')
    expect((await send(b.mint({ aud: a.audience }))).problem?.rule).toBe('token-audience')
  })
})

describe('ready', () => {
  test('warms metadata and keys, so that the first request waits for nothing', async () => {
    const { issuer, send, stage, services } = setUp()
    await stage.ready!(services)
    expect(issuer.calls).toEqual({ metadata: 1, keys: 1 })
    issuer.down()
    expect((await send(issuer.mint())).status).toBe(200)
  })

  test('rejects if the keys cannot be had, and names the issuer', async () => {
    const { issuer, stage, services } = setUp()
    issuer.down()
    await expect(stage.ready!(services)).rejects.toThrow('https://issuer.test')
  })
})

test('after close, nothing is fetched any more', async () => {
  const { issuer, send, stage } = setUp()
  await stage.close!()
  expect((await send(issuer.mint())).status).toBe(503)
  expect(issuer.calls).toEqual({ metadata: 0, keys: 0 })
})
