import { randomBytes } from 'node:crypto'
import { bearer } from '../../src/identity/bearer.js'
import { RING_POLL_MS } from '../../src/identity/key-ring.js'
import { tokens } from '../../src/identity/tokens.js'
import { isStoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { systemClock } from '../../src/kernel/system-clock.js'
import { expectRefused, serve, type FakeClock } from '../../src/testing/index.js'
import { losables, type Losable } from '../support/losable.js'
import { until } from '../support/private-redis.js'

const BASE = 'https://api.test'
const HOUR = 3_600_000
const TEN_MINUTES = 600_000

beforeAll(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  jest.spyOn(console, 'error').mockImplementation(() => undefined)
})
afterAll(() => jest.restoreAllMocks())

/** What a real store needs time for is waited for; all else comes when it is told to. */
function movedClock(): FakeClock {
  let shift = 0
  return {
    now: () => systemClock.now() + shift,
    monotonic: () => systemClock.monotonic() + shift,
    after: systemClock.after,
    advance: (ms) => void (shift += ms),
    jump: () => undefined,
  }
}

describe.each(losables)('signing keys in %s', (_kind, start) => {
  let backend: Losable
  beforeAll(async () => {
    backend = await start()
  })
  afterAll(() => backend.stop())

  const secret = randomBytes(32)
  /** A process that signs, publishes and verifies. */
  function processAt(clock: FakeClock) {
    const keyRing = { secret, rotateSeconds: 3_600, announceSeconds: 600 }
    const patient = { storeTimeoutMs: 5_000 }
    const own = tokens({ ...patient, issuer: BASE, audience: BASE, store: backend.store, keyRing, clock })
    const api = serve(bearer(own.bearerOptions), { ...patient, clock })
    const { get } = serve(own.jwks)
    const { post } = serve(own.refresh)
    const jwks = async () => get('/')
    const published = async () => {
      const { keys } = JSON.parse((await jwks()).text) as { keys: { kid: string }[] }
      return keys.map(({ kid }) => kid)
    }
    return {
      own,
      api,
      jwks,
      published,
      /** Signs, with a key that it publishes at that moment. */
      sign: async () => {
        const { access_token: token } = await own.issue({ subject: 'ann' })
        expect(await published()).toContain(kidOf(token))
        return token
      },
      come: async (token: string) => {
        // Keys are asked for once in a second; whoever comes sooner may have to wait, or is 503.
        clock.advance(1_000)
        return api.get('/').set('Authorization', `Bearer ${token}`)
      },
      refresh: (token: string) => post('/').type('json').send({ refresh_token: token }),
    }
  }
  type Process = ReturnType<typeof processAt>

  const kidOf = (token: string) =>
    (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid
  const statuses = (processes: readonly Process[], token: string) =>
    Promise.all(processes.map(async ({ come }) => (await come(token)).status))

  test('while it is away: nothing is signed, nobody is a stranger, and the next change of keys is announced when it is back', async () => {
    const clock = movedClock()
    const { own, api, jwks, published, sign, come, refresh } = processAt(clock)
    const { access_token: token, refresh_token: again } = await own.issue({ subject: 'ann' })
    const before = await published()
    expect([(await come(token)).status, before]).toEqual([200, [kidOf(token)]])

    await backend.down()
    const handled = api.handled()
    expectRefused('store-unavailable')(await come(token))
    expect(api.handled()).toBe(handled)
    expectRefused('store-unavailable')(await refresh(again!))
    for (const work of [() => own.issue({ subject: 'ann' }), () => own.rotateKeys()])
      expect(isStoreUnavailable(await work().catch((error: unknown) => error))).toBe(true)
    // What was read within the last minute is still said; older keys may be over.
    expect(await published()).toEqual(before)
    clock.advance(RING_POLL_MS)
    expectRefused('store-unavailable')(await jwks())

    // The time to change comes and goes.
    clock.advance(HOUR)
    await backend.up()
    await until(async () => {
      clock.advance(1_000)
      return (await jwks()).status === 200
    })
    const now = await published()
    expect([now.length, now[0]]).toEqual([2, before[0]])
    const old = await sign()
    expect([kidOf(old), (await come(old)).status]).toEqual([before[0], 200])
    clock.advance(TEN_MINUTES)
    const fresh = await sign()
    expect([kidOf(fresh), (await come(fresh)).status, (await come(old)).status]).toEqual([now[1], 200, 200])
  })

  test('lost: nobody signs with what it does not publish, there are new keys at once, and within a minute all have them', async () => {
    const clock = movedClock()
    await backend.lose()
    const [one, two] = [processAt(clock), processAt(clock)]
    const before = await one.sign()
    expect(kidOf(await two.sign())).toBe(kidOf(before))
    expect(await statuses([one, two], before)).toEqual([200, 200])

    await backend.lose()
    // Those who have them do not know yet: what they sign is good, as is what they signed.
    const meanwhile = await one.sign()
    expect(kidOf(meanwhile)).toBe(kidOf(before))
    expect(await statuses([one, two], meanwhile)).toEqual([200, 200])

    // Whoever comes first makes a new one.
    const three = processAt(clock)
    const fresh = await three.sign()
    expect(kidOf(fresh)).not.toBe(kidOf(before))
    expect(await statuses([three, one], fresh)).toEqual([200, 200])
    // Who has met it has changed as well; the others do within a minute.
    expect(kidOf(await one.sign())).toBe(kidOf(fresh))
    clock.advance(RING_POLL_MS)
    expect(kidOf(await two.sign())).toBe(kidOf(fresh))
    expect(await statuses([one, two, three], fresh)).toEqual([200, 200, 200])
    // As after a withdrawal: who had a token logs in again.
    for (const lost of [before, meanwhile]) {
      expect(await statuses([one, two, three], lost)).toEqual([401, 401, 401])
    }
    for (const { published } of [one, two, three]) expect(await published()).toEqual([kidOf(fresh)])

    // And keys change again as ever.
    await one.own.rotateKeys()
    clock.advance(TEN_MINUTES)
    const next = await two.sign()
    expect(kidOf(next)).not.toBe(kidOf(fresh))
    expect(await statuses([one, two, three], next)).toEqual([200, 200, 200])
  })

  test('lost while nobody new comes: all who had them agree on the next ones', async () => {
    const clock = movedClock()
    const processes = [processAt(clock), processAt(clock), processAt(clock)]
    const kids = async () => (await Promise.all(processes.map(({ sign }) => sign()))).map(kidOf)
    const [before] = await kids()
    await backend.lose()
    clock.advance(RING_POLL_MS)
    const after = await kids()
    expect([new Set(after).size, after.includes(before!)]).toEqual([1, false])
  })

  test('gone back to an older state: good again is what that says, from the second request on', async () => {
    const clock = movedClock()
    const records = backend.store.records
    const api = processAt(clock)
    const before = await api.sign()
    expect((await api.come(before)).status).toBe(200)
    const kept = await records.get('signing-keys', BASE)
    await backend.lose()
    clock.advance(RING_POLL_MS)
    const between = await api.sign()
    expect([(await api.come(between)).status, (await api.come(before)).status]).toEqual([200, 401])

    await records.put('signing-keys', BASE, kept!)
    clock.advance(RING_POLL_MS)
    const after = await api.sign()
    expect(kidOf(after)).toBe(kidOf(before))
    // A name that was withdrawn is not waited for: whoever comes first has it looked for.
    expect((await api.come(after)).status).toBe(401)
    await until(async () => (await api.come(after)).status === 200)
    expect([(await api.come(before)).status, (await api.come(between)).status]).toEqual([200, 401])
  })
})
