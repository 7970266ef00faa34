import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { FactorProof } from '../../src/identity/factor-handler.js'
import { webauthn, type WebauthnHandlers, type WebauthnOptions } from '../../src/identity/webauthn.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import type { RecordStore } from '../../src/kernel/ports.js'
import { fakeClock, serve } from '../../src/testing/index.js'
import { as, caller } from '../support/as.js'
import { SoftPasskey, type Oddity } from '../support/authenticator.js'

const key = randomBytes(32)
const ORIGIN = 'https://app.example.com'
const SOUND = { key, rpId: 'example.com', rpName: 'Acme', origins: [ORIGIN] }
const ANN = { ...caller(), id: 'https://id.example ann' }
const EVE = { ...caller(), id: 'https://id.example eve', subject: 'eve' }

interface Reply {
  readonly status: number
  readonly body: Record<string, never>
  readonly rule: string | undefined
  readonly cookie: string | undefined
}

function setUp(options: Partial<WebauthnOptions> = {}) {
  const clock = fakeClock()
  const store = memory({ clock })
  const proofs: FactorProof[] = []
  const events: object[] = []
  const verified = (proof: FactorProof) => void proofs.push(proof)
  const passkeys = webauthn({ ...SOUND, store, clock, verified, ...options })

  const call = async (
    name: keyof WebauthnHandlers,
    body: object = {},
    { who = ANN, cookie = '' }: { who?: Principal | null; cookie?: string } = {},
  ): Promise<Reply> => {
    let rule: string | undefined
    const served = serve(as(who ?? undefined), {
      clock,
      handler: (req, res, next) => {
        const ctx = contextOf(req)!
        ctx.recorder = { record: (_ctx, kind, facts) => void events.push({ kind, ...facts }) }
        res.on('close', () => (rule = ctx.problem?.rule))
        passkeys.handlers[name](req, res, next)
      },
    })
    const sent = name === 'list' ? served.get('/') : served.post('/').set('Content-Type', 'application/json')
    const reply = await (name === 'list' ? sent : sent.set('Cookie', cookie).send(JSON.stringify(body)))
    served.server.close()
    return {
      status: reply.status,
      body: JSON.parse(reply.text) as Reply['body'],
      rule,
      cookie: reply.headers['set-cookie']?.[0],
    }
  }

  /** A passkey that Ann has registered. */
  const registered = async (odd: Oddity = {}) => {
    const passkey = new SoftPasskey('example.com', ORIGIN)
    const { body } = await call('registrationOptions')
    const reply = await call('register', { credential: passkey.create(body as never, odd), name: 'phone' })
    return { passkey, reply }
  }
  const authenticated = async (passkey: SoftPasskey, odd: Oddity = {}, who = ANN) => {
    const { body } = await call('authenticationOptions', {}, { who })
    return call('authenticate', { credential: passkey.get(body as never, odd) }, { who })
  }
  const loggedIn = async (passkey: SoftPasskey, odd: Oddity = {}) => {
    const asked = await call('loginOptions', {}, { who: null })
    const cookie = asked.cookie!.split(';')[0]!
    return call('login', { credential: passkey.get(asked.body as never, odd) }, { who: null, cookie })
  }
  return { clock, store, passkeys, proofs, events, call, registered, authenticated, loggedIn }
}

describe('a passkey', () => {
  test('is registered, shown as a factor, and listed', async () => {
    const { call, registered, authenticated, proofs, passkeys, clock, events } = setUp()
    const options = (await call('registrationOptions')).body as Record<string, unknown>
    expect(options).toMatchObject({
      rp: { id: 'example.com', name: 'Acme' },
      user: { name: 'ann', displayName: 'ann' },
      attestation: 'none',
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      pubKeyCredParams: [{ alg: -8 }, { alg: -7 }, { alg: -257 }].map((one) => ({
        ...one,
        type: 'public-key',
      })),
      timeout: 300_000,
    })
    const { passkey, reply } = await registered()
    const info = {
      ...{ id: passkey.id, name: 'phone', deviceType: 'singleDevice', backedUp: false },
      ...{ aaguid: '00000000-0000-0000-0000-000000000000', createdAt: clock.now() / 1000 },
    }
    expect(reply).toMatchObject({ status: 200, body: { passkey: info } })
    clock.advance(60_000)
    expect(await authenticated(passkey)).toMatchObject({ status: 200, body: { factor: { method: 'pop' } } })
    const used = { ...info, lastUsedAt: clock.now() / 1000 }
    expect(proofs).toEqual([
      {
        subject: ANN.id,
        factor: { method: 'pop', at: clock.now() / 1000 },
        amr: ['pop', 'user', 'mfa'],
        passkey: { ...used, owner: { id: ANN.id, subject: 'ann', issuer: ANN.issuer } },
      },
    ])
    expect((await call('list')).body).toEqual({ passkeys: [used] })
    expect(await passkeys.list(ANN.id)).toEqual([used])
    expect(events.map((event) => (event as { kind: string }).kind)).toEqual([
      'factor-enrolled',
      'factor-verified',
    ])
  })

  test('logs in whoever has it, by itself, and names nobody before', async () => {
    const { call, registered, loggedIn, proofs } = setUp()
    const { passkey } = await registered()
    const asked = await call('loginOptions', {}, { who: null })
    expect(asked.body).toMatchObject({
      allowCredentials: [],
      userVerification: 'required',
      rpId: 'example.com',
    })
    expect(asked.cookie).toMatch(/^__Host-passkey=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/)
    // A second page of this browser takes nothing from the first one.
    const cookie = asked.cookie!.split(';')[0]!
    const again = await call('loginOptions', {}, { who: null, cookie })
    expect(again.cookie).toBeUndefined()
    for (const odd of [
      '',
      '__Host-passkey=',
      '__Host-passkey=x',
      `${cookie}; __Host-passkey=${'A'.repeat(43)}`,
    ])
      expect((await call('loginOptions', {}, { who: null, cookie: odd })).cookie).toMatch(
        /^__Host-passkey=[\w-]{43};/,
      )
    for (const { body } of [again, asked]) {
      const credential = passkey.get(body as never)
      expect((await call('login', { credential }, { who: null, cookie })).status).toBe(200)
    }
    expect((await loggedIn(passkey)).status).toBe(200)
    expect(proofs[0]).toMatchObject({ subject: ANN.id, passkey: { owner: { subject: 'ann' } } })
  })

  test('is forgotten by its owner, and then opens nothing', async () => {
    const { call, registered, authenticated, loggedIn, passkeys } = setUp()
    const { passkey } = await registered()
    expect((await call('remove', { id: passkey.id }, { who: EVE })).body).toEqual({ removed: false })
    expect((await authenticated(passkey)).status).toBe(200)
    expect((await call('remove', { id: passkey.id })).body).toEqual({ removed: true })
    expect((await loggedIn(passkey)).status).toBe(403)
    expect((await call('authenticationOptions')).rule).toBe('passkey-unknown')
    expect(await passkeys.remove(ANN.id, passkey.id)).toBe(false)
  })

  test('is one of so many, and never there twice', async () => {
    const { call, registered } = setUp({ maxPasskeys: 2 })
    const { passkey } = await registered()
    const asked = await call('registrationOptions')
    expect(asked.body).toMatchObject({ excludeCredentials: [{ id: passkey.id, transports: ['internal'] }] })
    const again = await call('register', { credential: passkey.create(asked.body as never) })
    expect(again).toMatchObject({ status: 409, rule: 'passkey-known' })
    const early = await call('registrationOptions')
    expect((await registered()).reply.status).toBe(200)
    expect(await call('registrationOptions')).toMatchObject({ status: 409, rule: 'passkey-limit' })
    // Asked for when there was still room.
    const late = new SoftPasskey('example.com', ORIGIN).create(early.body as never)
    expect(await call('register', { credential: late })).toMatchObject({ status: 409, rule: 'passkey-limit' })
  })
})

test('a passkey is never two subjects\u2019, whoever comes first, also if both come at once (W3C WebAuthn 7.1)', async () => {
  const { call, registered, authenticated, passkeys, store } = setUp()
  const { passkey } = await registered()
  const copied = async (who: Principal, odd: SoftPasskey) => {
    const { body } = await call('registrationOptions', {}, { who })
    return call('register', { credential: odd.create(body as never) }, { who })
  }
  // Whoever knows the id can claim it with a key of their own, since nobody attests it.
  const forged = Object.assign(new SoftPasskey('example.com', ORIGIN), { id: passkey.id })
  expect(await copied(EVE, forged)).toMatchObject({ status: 409, rule: 'passkey-known' })
  expect(await passkeys.list(EVE.id)).toEqual([])
  expect((await authenticated(passkey)).status).toBe(200)

  // Two pages of one subject that register one passkey at once: whoever loses takes no name away.
  const pages = await Promise.all([call('registrationOptions'), call('registrationOptions')])
  const twice = new SoftPasskey('example.com', ORIGIN)
  const shown = pages.map(({ body }) => call('register', { credential: twice.create(body as never) }))
  expect((await Promise.all(shown)).map(({ status }) => status).sort()).toEqual([200, 409])
  const copy = Object.assign(new SoftPasskey('example.com', ORIGIN), { id: twice.id })
  expect(await copied(EVE, copy)).toMatchObject({ status: 409, rule: 'passkey-known' })

  const raced = new SoftPasskey('example.com', ORIGIN)
  const theirs = Object.assign(new SoftPasskey('example.com', ORIGIN), { id: raced.id })
  const both = await Promise.all([copied(ANN, raced), copied(EVE, theirs)])
  expect(both.map(({ status }) => status).sort()).toEqual([200, 409])

  // What was forgotten may be registered anew, and what was refused keeps no name.
  await call('remove', { id: passkey.id })
  expect((await copied(EVE, forged)).status).toBe(200)
  const names = async () => (await store.records.list('passkey-credentials')).values.length
  const before = await names()
  const early = (await call('registrationOptions', {}, { who: EVE })).body
  const full = setUp({ store, maxPasskeys: 1 })
  const credential = new SoftPasskey('example.com', ORIGIN).create(early as never)
  expect(await full.call('register', { credential }, { who: EVE })).toMatchObject({ rule: 'passkey-limit' })
  expect(await names()).toBe(before)
})

test('a subject whose record others change all the time is asked to come again: 503', async () => {
  const clock = fakeClock()
  const { records, once } = memory({ clock })
  let busy = false
  const contended: RecordStore = {
    get: (...asked) => records.get(...asked),
    put: (...asked) => records.put(...asked),
    replace: (space, ...asked) => !(busy && space === 'passkeys') && records.replace(space, ...asked),
    delete: (...asked) => records.delete(...asked),
    list: (...asked) => records.list(...asked),
  }
  const { call, registered } = setUp({ store: { records: contended, once } })
  const { passkey } = await registered()
  busy = true
  expect((await call('remove', { id: passkey.id })).status).toBe(503)
  busy = false
  expect((await call('remove', { id: passkey.id })).status).toBe(200)
})

const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const ODD: [string, Oddity, string][] = [
  ['from a page of somebody else', { origin: 'https://evil.example' }, 'passkey-invalid'],
  ['from a page that resembles ours', { origin: `${ORIGIN}.evil.example` }, 'passkey-invalid'],
  ['from our page without TLS', { origin: 'http://app.example.com' }, 'passkey-invalid'],
  ['from another port', { origin: `${ORIGIN}:8443` }, 'passkey-invalid'],
  ['from a page of ours that is not listed', { origin: 'https://blog.example.com' }, 'passkey-invalid'],
  ['in a frame', { crossOrigin: true }, 'passkey-challenge'],
  ['in a frame that does not say so', { topOrigin: 'https://evil.example' }, 'passkey-challenge'],
  ['for another domain', { rpId: 'evil.example' }, 'passkey-invalid'],
  ['of a user who was there, but whom nobody verified', { flags: 1 }, 'passkey-invalid'],
  ['of a user who was not there', { flags: 4 }, 'passkey-invalid'],
  ['of another kind', { type: 'payment.get' }, 'passkey-invalid'],
  ['to a challenge of their own', { challenge: randomBytes(54).toString('base64url') }, 'passkey-challenge'],
  ['to no challenge', { challenge: '' }, 'passkey-challenge'],
]

describe('an answer is refused', () => {
  test.each(ODD)('at registration: %s', async (_what, odd, rule) => {
    const { call, passkeys } = setUp()
    const { body } = await call('registrationOptions')
    const credential = new SoftPasskey('example.com', ORIGIN).create(body as never, odd)
    expect(await call('register', { credential })).toMatchObject({ status: 403, rule })
    expect(await passkeys.list(ANN.id)).toEqual([])
  })

  test.each<[string, Oddity, string]>([
    ...ODD,
    ['signed by somebody else', { key: other }, 'passkey-invalid'],
    ['with an id of somebody else', { id: randomBytes(16).toString('base64url') }, 'passkey-unknown'],
    [
      'with the handle of somebody else',
      { userHandle: randomBytes(32).toString('base64url') },
      'passkey-unknown',
    ],
  ])('afterwards: %s', async (_what, odd, rule) => {
    const { registered, authenticated, loggedIn, proofs } = setUp()
    const { passkey } = await registered()
    expect(await authenticated(passkey, odd)).toMatchObject({ status: 403, rule })
    expect(await loggedIn(passkey, odd)).toMatchObject({ status: 403, rule })
    expect(proofs).toEqual([])
  })

  const NO_OBJECTS = [
    ['none', undefined],
    ['null', null],
    ['a text', 'AAAA'],
    ['a number', 7],
    ['an empty list', []],
  ] as const
  const inList = <T>(value: T): readonly [string, unknown] => ['the right one, but in a list', [value]]

  test('that is no object, nor has one as its response; no list is one', async () => {
    const { call, registered, passkeys, proofs } = setUp()
    const challenge = (await call('registrationOptions')).body as never
    const created = new SoftPasskey('example.com', ORIGIN).create(challenge)
    const { passkey } = await registered()
    const step = passkey.get((await call('authenticationOptions')).body as never)
    const login = await call('loginOptions', {}, { who: null })
    const asked = passkey.get(login.body as never)
    const anonymous = { who: null, cookie: login.cookie!.split(';')[0]! }

    for (const [name, good, more] of [
      ['register', created, {}],
      ['authenticate', step, {}],
      ['login', asked, anonymous],
    ] as const) {
      for (const [what, credential] of [...NO_OBJECTS, inList(good)]) {
        const reply = await call(name, { credential }, more)
        expect({ name, what, ...reply }).toMatchObject({ status: 403, rule: 'passkey-malformed' })
      }
      for (const [what, response] of [...NO_OBJECTS, inList(good.response)]) {
        const reply = await call(name, { credential: { ...good, response } }, more)
        expect({ name, what, ...reply }).toMatchObject({ status: 403, rule: 'passkey-challenge' })
      }
    }
    expect(await passkeys.list(ANN.id)).toHaveLength(1)
    expect(proofs).toEqual([])
    expect((await call('login', { credential: asked }, anonymous)).status).toBe(200)
  })

  test('at a login without a handle: nobody guesses whose it is', async () => {
    const { registered, loggedIn, authenticated } = setUp()
    const { passkey } = await registered()
    expect(await loggedIn(passkey, { userHandle: null })).toMatchObject({
      status: 403,
      rule: 'passkey-unknown',
    })
    expect((await authenticated(passkey, { userHandle: null })).status).toBe(200)
  })

  test('when its time is over, when it comes again, and when two come at once', async () => {
    const { call, registered, clock, proofs } = setUp()
    const { passkey } = await registered()
    const first = (await call('authenticationOptions')).body
    clock.advance(300_000)
    expect(await call('authenticate', { credential: passkey.get(first as never) })).toMatchObject({
      rule: 'passkey-challenge',
    })
    const credential = passkey.get((await call('authenticationOptions')).body as never)
    const both = await Promise.all([
      call('authenticate', { credential }),
      call('authenticate', { credential }),
    ])
    expect(both.map(({ status }) => status).sort()).toEqual([200, 403])
    expect(await call('authenticate', { credential })).toMatchObject({ rule: 'passkey-replayed' })
    expect(proofs).toHaveLength(1)
  })

  test('when it was asked for something else, by somebody else, or in another browser', async () => {
    const { call, registered } = setUp()
    const { passkey } = await registered()
    const step = (await call('authenticationOptions')).body as never
    const login = await call('loginOptions', {}, { who: null })
    const register = (await call('registrationOptions')).body as never
    const cookie = login.cookie!.split(';')[0]!
    const anonymous = { who: null, cookie }
    for (const [name, challenge, more] of [
      ['authenticate', register, {}],
      ['authenticate', login.body as never, {}],
      ['authenticate', step, { who: EVE }],
      ['login', step, anonymous],
      ['login', login.body as never, { who: null }],
      ['login', login.body as never, { who: null, cookie: `__Host-passkey=${'A'.repeat(43)}` }],
      ['login', login.body as never, { who: null, cookie: `${cookie}; ${cookie}` }],
    ] as const) {
      const reply = await call(name, { credential: passkey.get(challenge) }, more)
      expect({ name, ...reply }).toMatchObject({ status: 403, rule: 'passkey-challenge' })
    }
    expect((await call('login', { credential: passkey.get(login.body as never) }, anonymous)).status).toBe(
      200,
    )
  })

  test('when the counter does not go up: it was copied, which is put on record', async () => {
    const { registered, authenticated, events } = setUp()
    const { passkey } = await registered()
    expect((await authenticated(passkey, { counter: 7 })).status).toBe(200)
    for (const counter of [7, 6, 0])
      expect(await authenticated(passkey, { counter })).toMatchObject({
        status: 403,
        rule: 'passkey-counter',
      })
    expect(events).toContainEqual({ kind: 'passkey-copied', id: passkey.id })
    // What nobody signed says nothing about copies.
    expect(await authenticated(passkey, { counter: 1, key: other })).toMatchObject({
      rule: 'passkey-invalid',
    })
    expect((await authenticated(passkey, { counter: 8 })).status).toBe(200)
  })

  test('when it may be backed up and never might, or the other way round; that it was is noted (W3C WebAuthn 7.2)', async () => {
    const { registered, authenticated, passkeys, proofs } = setUp()
    const { passkey, reply } = await registered({ flags: 5 + 8 })
    expect(reply.body).toMatchObject({ passkey: { deviceType: 'multiDevice', backedUp: false } })
    const other = await registered()
    for (const [one, flags] of [
      [passkey, 5],
      [passkey, 5 + 16],
      [other.passkey, 5 + 8],
    ] as const)
      expect(await authenticated(one, { flags })).toMatchObject({ status: 403, rule: 'passkey-invalid' })
    expect((await authenticated(passkey, { flags: 5 + 8 + 16 })).status).toBe(200)
    expect(proofs).toMatchObject([{ passkey: { id: passkey.id, backedUp: true } }])
    expect(await passkeys.list(ANN.id)).toMatchObject([{ backedUp: true }, { backedUp: false }])
  })

  test('when its id or its key is longer than any (W3C WebAuthn 7.1)', async () => {
    const { call, passkeys } = setUp()
    const long = (bytes: number) =>
      Object.assign(new SoftPasskey('example.com', ORIGIN), { id: randomBytes(bytes).toString('base64url') })
    const ask = async (passkey: SoftPasskey, odd: Oddity = {}) =>
      call('register', { credential: passkey.create((await call('registrationOptions')).body as never, odd) })
    expect(await ask(long(1_024))).toMatchObject({ status: 403, rule: 'passkey-invalid' })
    expect(await ask(long(16), { more: Buffer.alloc(2_048) })).toMatchObject({ status: 403 })
    expect(await passkeys.list(ANN.id)).toEqual([])
    expect((await ask(long(1_023))).status).toBe(200)
    expect((await ask(long(16), { more: Buffer.alloc(1_024) })).status).toBe(200)
  })

  test('when its client data is spelled in two ways', async () => {
    const { call, registered, proofs } = setUp()
    const { passkey } = await registered()
    for (const spelled of [
      (text: string) => `${text}=`,
      (text: string) => `${text}!`,
      (text: string) => ` ${text}`,
    ]) {
      const sent = passkey.get((await call('authenticationOptions')).body as never)
      const response = sent.response as Record<string, string>
      const credential = {
        ...sent,
        response: { ...response, clientDataJSON: spelled(response.clientDataJSON!) },
      }
      expect(await call('authenticate', { credential })).toMatchObject({ rule: 'passkey-challenge' })
    }
    expect(proofs).toEqual([])
  })

  test('one that never counts is taken again and again', async () => {
    const { registered, authenticated } = setUp()
    const { passkey } = await registered()
    for (let i = 0; i < 3; i++) expect((await authenticated(passkey, { counter: 0 })).status).toBe(200)
  })

  test.each<unknown>([
    null,
    5,
    'x',
    [],
    {},
    { response: null },
    { response: {} },
    { response: { clientDataJSON: 5 } },
    { response: { clientDataJSON: '' } },
    { response: { clientDataJSON: Buffer.from('{"challenge":{}}').toString('base64url') } },
    { response: { clientDataJSON: Buffer.from('[[[').toString('base64url') } },
    { response: { clientDataJSON: 'A'.repeat(10_000) } },
  ])('when it is none: %j', async (credential) => {
    const { call } = setUp()
    for (const name of ['register', 'authenticate'] as const)
      expect((await call(name, { credential })).status).toBe(403)
    const cookie = `__Host-passkey=${'A'.repeat(43)}`
    expect((await call('login', { credential }, { who: null, cookie })).status).toBe(403)
  })

  test('with parts that are none, behind a good challenge', async () => {
    const { call, registered } = setUp()
    const { passkey } = await registered()
    const parts: [string, unknown][] = ['authenticatorData', 'signature', 'userHandle'].flatMap((part) =>
      [null, 5, '', {}, 'A', '<>', 'A'.repeat(9_999)].map((value) => [part, value] as [string, unknown]),
    )
    for (const [part, value] of parts) {
      const good = passkey.get((await call('authenticationOptions')).body as never)
      const credential = { ...good, response: { ...(good.response as object), [part]: value } }
      const { status } = await call('authenticate', { credential })
      // Only a handle may be missing.
      expect([part, value, status]).toEqual([
        part,
        value,
        part === 'userHandle' && value === null ? 200 : 403,
      ])
    }
    const made = new SoftPasskey('example.com', ORIGIN)
    for (const attestationObject of [null, '', 'oA', 'A'.repeat(9_999)]) {
      const good = made.create((await call('registrationOptions')).body as never)
      const credential = { ...good, response: { ...(good.response as object), attestationObject } }
      expect((await call('register', { credential })).status).toBe(403)
    }
  })
})

describe('who is to say something', () => {
  test.each([
    'registrationOptions',
    'register',
    'authenticationOptions',
    'authenticate',
    'list',
    'remove',
  ] as const)('%s is for those alone who are known', async (name) => {
    expect((await setUp().call(name, {}, { who: null })).status).toBe(401)
  })

  test('attestation is asked for and judged where there is somebody to judge it', async () => {
    const asked: unknown[] = []
    let verdict: unknown = false
    const { call, registered, passkeys } = setUp({
      attested: ({ format, aaguid, sent }, { id }) => {
        asked.push([format, aaguid, sent, id])
        return verdict as boolean
      },
    })
    expect((await call('registrationOptions')).body).toMatchObject({ attestation: 'direct' })
    expect((await registered()).reply).toMatchObject({ status: 403, rule: 'passkey-attestation' })
    verdict = 'yes'
    expect((await registered()).reply.status).toBe(403)
    expect(await passkeys.list(ANN.id)).toEqual([])
    verdict = true
    expect((await registered()).reply.status).toBe(200)
    expect(asked[0]).toEqual(['none', '00000000-0000-0000-0000-000000000000', undefined, ANN.id])
  })

  test('names are short', async () => {
    const { call } = setUp()
    const { body } = await call('registrationOptions')
    const credential = new SoftPasskey('example.com', ORIGIN).create(body as never)
    for (const name of ['', 'x'.repeat(65), 5, {}])
      expect((await call('register', { credential, name })).status).toBe(422)
  })

  test('two pages that begin at once register two passkeys under one handle', async () => {
    const { call, loggedIn } = setUp()
    const both = await Promise.all([call('registrationOptions'), call('registrationOptions')])
    const handles = both.map(({ body }) => (body as unknown as { user: { id: string } }).user.id)
    expect(handles[0]).toBe(handles[1])
    for (const { body } of both) {
      const passkey = new SoftPasskey('example.com', ORIGIN)
      expect((await call('register', { credential: passkey.create(body as never) })).status).toBe(200)
      expect((await loggedIn(passkey)).status).toBe(200)
    }
  })

  test('a store that is away is 503', async () => {
    const gone = () => Promise.reject(new Error('gone'))
    const records = { get: gone, put: gone, replace: gone, delete: gone, list: gone }
    const { call } = setUp({ store: { records, once: { claim: gone } } })
    for (const name of ['registrationOptions', 'authenticationOptions', 'list'] as const)
      expect((await call(name)).status).toBe(503)
  })
})

test('processes whose clocks differ take each other\u2019s challenges, and each once', async () => {
  const ahead = setUp()
  const behind = setUp({ store: ahead.store })
  behind.clock.jump(ahead.clock.now() - behind.clock.now() - 30_000)
  const { passkey } = await ahead.registered()
  const options = (await ahead.call('authenticationOptions')).body
  const credential = passkey.get(options as never)
  expect((await behind.call('authenticate', { credential })).status).toBe(200)
  // Over here, and not there: what was used stays so.
  ahead.clock.advance(310_000)
  behind.clock.advance(310_000)
  expect(await ahead.call('authenticate', { credential })).toMatchObject({ rule: 'passkey-challenge' })
  expect(await behind.call('authenticate', { credential })).toMatchObject({ rule: 'passkey-replayed' })
  behind.clock.jump(-400_000)
  expect(await behind.call('authenticate', { credential })).toMatchObject({ rule: 'passkey-challenge' })
})

test('a new key takes over: challenges of the old one are good until they end', async () => {
  const { store, call, clock } = setUp()
  const { body } = await call('registrationOptions')
  const rotated = setUp({ key: [randomBytes(32), key], store, clock })
  rotated.clock.jump(clock.now() - rotated.clock.now())
  const credential = new SoftPasskey('example.com', ORIGIN).create(body as never)
  expect((await rotated.call('register', { credential })).status).toBe(200)
})

test.each<[object, string]>([
  [{ store: undefined }, 'webauthn.store is undefined'],
  [{ store: { records: memory().records } }, 'webauthn.store has no once'],
  [{ key: 'short' }, 'webauthn.key must have at least 32 bytes'],
  [{ rpId: 'https://example.com' }, 'webauthn.rpId must be a domain'],
  [{ rpId: 'Example.com' }, 'webauthn.rpId must be a domain'],
  [{ rpId: '127.0.0.1' }, 'webauthn.rpId must be a domain'],
  [{ origins: [] }, 'webauthn.origins must list'],
  [{ origins: ['https://app.example.com/'] }, 'webauthn.origins[0] must be an https origin of webauthn.rpId'],
  [{ origins: ['http://app.example.com'] }, 'webauthn.origins[0]'],
  [{ origins: ['https://evil-example.com'] }, 'webauthn.origins[0]'],
  [{ origins: ['*'] }, 'webauthn.origins[0]'],
  [{ challengeMs: 5 }, 'webauthn.challengeMs must be an integer from 30000 to 600000'],
  [{ maxPasskeys: 51 }, 'webauthn.maxPasskeys must be an integer from 1 to 50'],
  [{ attested: undefined }, 'webauthn.attested is undefined'],
])('settings: %j does not start', (options, message) => {
  const start = () => webauthn({ store: memory(), ...SOUND, ...options })
  expect(start).toThrow(ConfigError)
  expect(start).toThrow(message)
})
