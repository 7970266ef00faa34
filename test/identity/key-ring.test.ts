import fc from 'fast-check'
import { randomBytes } from 'node:crypto'
import { dueAt, keptAt, signingAt, type Dated } from '../../src/identity/key-ring-plan.js'
import { KeyRing, RING_POLL_MS } from '../../src/identity/key-ring.js'
import { bearer } from '../../src/identity/bearer.js'
import { signAccessToken } from '../../src/identity/sign-token.js'
import { Vault } from '../../src/identity/vault.js'
import { memory } from '../../src/kernel/memory.js'
import type { Store } from '../../src/kernel/ports.js'
import { fakeClock, serve, type FakeClock } from '../../src/testing/index.js'

const ISSUER = 'https://api.test'
const HOUR = 3_600_000
const DAY = 24 * HOUR
const ACCESS_MS = 600_000
const rules = { rotateMs: 30 * DAY, announceMs: DAY, outliveMs: ACCESS_MS + 300_000 + RING_POLL_MS }
const secret = () => randomBytes(32)
const vaultOf = (secrets: readonly Buffer[]) => new Vault('keyRing.secret', 'test', secrets)

describe('whenever somebody looks', () => {
  interface Named extends Dated {
    readonly madeAt: number
  }
  const looks = fc.array(
    fc.oneof(fc.integer({ min: 1, max: 3_600_000 }), fc.integer({ min: 1, max: 90 * DAY })),
    {
      maxLength: 60,
    },
  )

  test('a key that signs was announced, and one whose tokens are good is there', () => {
    fc.assert(
      fc.property(looks, (steps) => {
        let now = Date.UTC(2030, 0, 1)
        let keys: Named[] = []
        const signed: { at: number; by: Named }[] = []
        for (const step of [0, ...steps]) {
          now += step
          const due = dueAt(keys, now, rules)
          keys = keptAt(keys, now, rules)
          if (due !== undefined) keys.push({ signsFrom: due, madeAt: now })

          const by = signingAt(keys, now)!
          expect(by.signsFrom).toBeLessThanOrEqual(now)
          // The very first has to sign at once: there are no tokens, and nobody who knows other keys.
          if (signed.length > 0 && by !== signed[0]!.by)
            expect(now - by.madeAt).toBeGreaterThanOrEqual(rules.announceMs)
          for (const { at, by: earlier } of signed) if (now - at <= ACCESS_MS) expect(keys).toContain(earlier)
          signed.push({ at: now, by })
          expect(keys.length).toBeLessThanOrEqual(3)
        }
      }),
    )
  })
})

/** A process that signs, and an API that verifies, over a store that others have too. */
function processOf(store: Store, clock: FakeClock, secrets = [secret()], own = rules) {
  const ring = new KeyRing({
    issuer: ISSUER,
    records: store.records!,
    clock,
    rules: own,
    vault: vaultOf(secrets),
  })
  const api = serve(
    bearer({ issuer: ISSUER, audience: ISSUER, keys: async () => ({ keys: await ring.published(true) }) }),
    { clock },
  )
  const sign = async () => {
    const now = Math.floor(clock.now() / 1000)
    const claims = { iss: ISSUER, aud: ISSUER, sub: 'a', client_id: 'b', jti: 'c', iat: now, exp: now + 600 }
    return signAccessToken(claims, await ring.signing())
  }
  const status = async (token: string) => (await api.get('/').set('Authorization', `Bearer ${token}`)).status
  return { ring, sign, status }
}

test('processes that start at once have one ring, and nobody is refused while keys come and go', async () => {
  const clock = fakeClock()
  const store = memory({ clock })
  const secrets = [secret()]
  const often = { ...rules, rotateMs: 6 * HOUR, announceMs: HOUR }
  const processes = [0, 1, 2].map(() => processOf(store, clock, secrets, often))
  const kids = await Promise.all(processes.map(async ({ ring }) => (await ring.signing()).kid))
  expect(new Set(kids).size).toBe(1)

  const used = new Set<string>()
  let token = await processes[0]!.sign()
  for (let step = 1; step <= 120; step++) {
    clock.advance(ACCESS_MS)
    const [signer, verifier] = [processes[step % 3]!, processes[(step + 1) % 3]!]
    expect(await verifier.status(token)).toBe(200)
    token = await signer.sign()
    used.add((await signer.ring.signing()).kid)
    expect(await verifier.status(token)).toBe(200)
  }
  expect(used.size).toBe(4)
  expect((await processes[0]!.ring.published(true)).length).toBeLessThanOrEqual(2)
})

test('a key that others may have is gone at once, and what it signed', async () => {
  const clock = fakeClock()
  const store = memory({ clock })
  const secrets = [secret()]
  const [one, two] = [processOf(store, clock, secrets), processOf(store, clock, secrets)]
  const stolen = await one.sign()
  expect([await one.status(stolen), await two.status(stolen)]).toEqual([200, 200])
  await one.ring.rotate({ withdraw: true })
  const fresh = await one.sign()
  clock.advance(1_000)
  expect(await two.status(fresh)).toBe(200)
  expect([await one.status(fresh), await two.status(stolen)]).toEqual([200, 401])
  clock.advance(RING_POLL_MS)
  await one.status(fresh)
  expect(await one.status(stolen)).toBe(401)
  expect((await two.ring.signing()).kid).toBe((await one.ring.signing()).kid)
})

test('a change that somebody asks for is announced as usual, once', async () => {
  const clock = fakeClock()
  const { ring } = processOf(memory({ clock }), clock)
  const before = (await ring.signing()).kid
  await Promise.all([ring.rotate(), ring.rotate(), ring.rotate()])
  expect(await ring.published()).toHaveLength(2)
  expect((await ring.signing()).kid).toBe(before)
  clock.advance(DAY)
  expect((await ring.signing()).kid).not.toBe(before)
})

describe('what is in the store', () => {
  test('is sealed, and moves to the new secret by itself', async () => {
    const clock = fakeClock()
    const store = memory({ clock })
    const [old, fresh] = [secret(), secret()]
    const { kid } = await processOf(store, clock, [old]).ring.signing()
    const kept = () => store.records.get('signing-keys', ISSUER) as string
    expect(kept()).toMatch(/^[\w-]+$/)
    expect(Buffer.from(kept(), 'base64url').toString('latin1')).not.toContain('kty')

    expect((await processOf(store, clock, [fresh, old]).ring.signing()).kid).toBe(kid)
    expect((await processOf(store, clock, [fresh]).ring.signing()).kid).toBe(kid)
    await expect(processOf(store, clock, [old]).ring.signing()).rejects.toThrow(
      'keyRing.secret is another one',
    )
  })

  test('opens for no other issuer, and not where it was changed; nothing is overwritten then', async () => {
    const clock = fakeClock()
    const store = memory({ clock })
    const secrets = [secret()]
    await processOf(store, clock, secrets).ring.signing()
    const kept = store.records.get('signing-keys', ISSUER) as string
    const wrongs = [kept.slice(0, -2), `A${kept.slice(1)}`, '', '{}', kept.replace(/.{4}$/, 'AAAA')]
    for (const wrong of wrongs) {
      await store.records.put('signing-keys', ISSUER, wrong)
      await expect(processOf(store, clock, secrets).ring.signing()).rejects.toThrow('cannot be opened')
      expect(store.records.get('signing-keys', ISSUER)).toBe(wrong)
    }
    await store.records.put('signing-keys', 'https://other.test', kept)
    const other = new KeyRing({
      issuer: 'https://other.test',
      records: store.records,
      clock,
      rules,
      vault: vaultOf(secrets),
    })
    await expect(other.signing()).rejects.toThrow('cannot be opened')
  })
})
