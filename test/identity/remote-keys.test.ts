import { generateKeyPairSync } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import type { PublishedKeys } from '../../src/identity/jwks.js'
import type { KeySet, VerificationKey } from '../../src/identity/key-set.js'
import type { Unavailable } from '../../src/identity/unavailable.js'
import { RemoteKeys } from '../../src/identity/remote-keys.js'
import { createServices } from '../../src/kernel/services.js'
import { bearer } from '../../src/identity/bearer.js'
import { fakeClock, localIssuer, serve } from '../../src/testing/index.js'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key = (kid: string): VerificationKey => ({ kid, key: publicKey, algorithms: ['ES256'] })
const publish = (...kids: string[]): PublishedKeys => ({
  keys: kids.map(key),
  fingerprint: kids.join(),
  ignored: 0,
})

/** A provider that answers when it is told to, and a record of what it was asked. */
function setUp({ maxStaleMs = 3_600_000 } = {}) {
  const clock = fakeClock()
  const log = { lines: [] as string[] }
  const write = (message: string) => void log.lines.push(message)
  const services = createServices({ clock, log: { info: write, warn: write, error: write } })
  const fetches: {
    at: number
    rediscover: boolean
    signal: AbortSignal
    answer: (published: PublishedKeys) => Promise<void>
    fail: (why?: unknown) => Promise<void>
  }[] = []
  const keys = new RemoteKeys({
    issuer: 'https://issuer.test',
    maxStaleMs,
    fetchKeys: (_services, signal, rediscover) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        fetches.push({
          at: clock.monotonic(),
          rediscover,
          signal,
          answer: async (published) => {
            resolve(published)
            await turn()
          },
          fail: async (why = new Error('down')) => {
            reject(why)
            await turn()
          },
        })
      }),
  })
  const names = (set: KeySet | Unavailable | undefined) =>
    typeof set === 'object' ? set.keys.map(({ kid }) => kid) : set
  /** Waits for a key by name, as a request does. */
  const want = (kid: string) => {
    const asked = { outcome: 'waiting' as unknown }
    void keys
      .newer(services, (set) => set.lookup(kid, 'ES256').final)
      .then((outcome) => (asked.outcome = names(outcome)))
    return asked
  }
  const current = () => names(keys.current(services))
  const warm = async (...kids: string[]) => {
    want(kids[0]!)
    await fetches.at(-1)!.answer(publish(...kids))
  }
  return { clock, keys, services, fetches, log, want, current, warm }
}

test('has nothing before the first fetch, and does not fetch by itself', () => {
  const { current, fetches } = setUp()
  expect(current()).toBeUndefined()
  expect(fetches).toHaveLength(0)
})

test('a hundred cold requests cost one fetch, and all are served by it', async () => {
  const { want, fetches } = setUp()
  const asked = Array.from({ length: 100 }, () => want('a'))
  expect(fetches).toHaveLength(1)

  await fetches[0]!.answer(publish('a'))

  expect(asked.map(({ outcome }) => outcome)).toEqual(asked.map(() => ['a']))
  expect(fetches).toHaveLength(1)
})

describe('an unknown name', () => {
  test('waits for the next fetch, which starts a second after the last one started', async () => {
    const { want, warm, fetches, clock } = setUp()
    await warm('a')
    clock.advance(400)

    const asked = want('b')
    expect(fetches).toHaveLength(1)
    clock.advance(599)
    expect(fetches).toHaveLength(1)
    clock.advance(1)
    expect(fetches).toHaveLength(2)
    await fetches[1]!.answer(publish('a', 'b'))

    expect(asked.outcome).toEqual(['a', 'b'])
  })

  test('costs a fetch at once when the last one is more than a second ago', async () => {
    const { want, warm, fetches, clock } = setUp()
    await warm('a')
    clock.advance(1_000)
    want('b')
    expect(fetches).toHaveLength(2)
  })

  test('gets the newest set to be refused by, if that does not have it either', async () => {
    const { want, warm, fetches, clock } = setUp()
    await warm('a')
    clock.advance(1_000)
    const asked = want('b')
    await fetches[1]!.answer(publish('a', 'c'))
    expect(asked.outcome).toEqual(['a', 'c'])
  })

  test('is not refused by a fetch that began before it came: that answer may be older than the key', async () => {
    const { want, warm, fetches, clock } = setUp()
    await warm('a')
    clock.advance(1_000)
    const early = want('b')
    clock.advance(10)
    const late = want('c')

    await fetches[1]!.answer(publish('a'))
    expect(early.outcome).toEqual(['a'])
    expect(late.outcome).toBe('waiting')

    clock.advance(990)
    await fetches[2]!.answer(publish('a', 'c'))
    expect(late.outcome).toEqual(['a', 'c'])
  })

  test('is served by a fetch that began before it came, if that has it', async () => {
    const { want, warm, fetches, clock } = setUp()
    await warm('a')
    clock.advance(1_000)
    want('b')
    const late = want('c')
    await fetches[1]!.answer(publish('a', 'c'))
    expect(late.outcome).toEqual(['a', 'c'])
  })

  test('waits no longer than a second, whatever the provider does', async () => {
    const { want, warm, clock } = setUp()
    await warm('a')
    clock.advance(1_000)
    const asked = want('b')
    clock.advance(999)
    await turn()
    expect(asked.outcome).toBe('waiting')
    clock.advance(1)
    await turn()
    expect(asked.outcome).toBe('keys-late')
  })

  test('finds room for a hundred; the rest is told to come back', async () => {
    const { want, warm } = setUp()
    await warm('a')
    const asked = Array.from({ length: 105 }, (_, index) => want(`b${index}`))
    await turn()
    expect(asked.filter(({ outcome }) => outcome === 'waiting')).toHaveLength(100)
    expect(asked.filter(({ outcome }) => outcome === 'keys-crowded')).toHaveLength(5)
  })

  test('ten thousand of them, over ten seconds, cost at most one fetch a second', async () => {
    const { want, warm, fetches, clock } = setUp()
    await warm('a')
    const outcomes: { outcome: unknown }[] = []
    for (let step = 0; step < 100; step++) {
      for (let n = 0; n < 100; n++) outcomes.push(want(`random-${step}-${n}`))
      clock.advance(100)
      for (const fetch of fetches) await fetch.answer(publish('a'))
    }
    expect(fetches.length).toBeLessThanOrEqual(11)
    const starts = fetches.map(({ at }) => at)
    for (let i = 1; i < starts.length; i++) expect(starts[i]! - starts[i - 1]!).toBeGreaterThanOrEqual(1_000)
    clock.advance(1_000)
    await turn()
    const kinds = new Set(outcomes.map(({ outcome }) => JSON.stringify(outcome)))
    expect([...kinds].sort()).toEqual(['"keys-crowded"', '"keys-late"'])
  })

  test('of strangers does not keep a new key from arriving within a second', async () => {
    const { want, warm, fetches, clock, current } = setUp()
    await warm('a')
    for (let step = 0; step < 10; step++) {
      for (let n = 0; n < 100; n++) want(`random-${step}-${n}`)
      clock.advance(100)
    }
    await fetches[1]!.answer(publish('a', 'b'))
    expect(current()).toEqual(['a', 'b'])
  })

  test('in the middle of a flood, a key that was just published is found and never refused', async () => {
    const { want, warm, fetches, clock } = setUp()
    await warm('a')
    clock.advance(500)
    for (let n = 0; n < 50; n++) want(`random-${n}`)
    const fresh = want('b')
    clock.advance(500)
    await fetches[1]!.answer(publish('a', 'b'))
    expect(fresh.outcome).toEqual(['a', 'b'])
  })

  test('is looked for again although a timer fired a little early', async () => {
    const { keys, fetches, clock, warm, services } = setUp()
    await warm('a')
    clock.advance(500)
    const early = {
      ...services,
      clock: { ...clock, after: (ms: number, call: () => void) => clock.after(Math.max(ms - 1, 1), call) },
    }
    void keys.newer(early, () => false)
    clock.advance(499)
    expect(fetches).toHaveLength(1)
    clock.advance(1)
    expect(fetches).toHaveLength(2)
  })
})

test('without any keys, a thousand may wait for the first', async () => {
  const { want } = setUp()
  const asked = Array.from({ length: 1_005 }, () => want('a'))
  await turn()
  expect(asked.filter(({ outcome }) => outcome === 'keys-crowded')).toHaveLength(5)
})

describe('an outage', () => {
  test('is known for the rest of the second: no fetch, no wait', async () => {
    const { want, fetches, clock } = setUp()
    const first = want('a')
    await fetches[0]!.fail()
    expect(first.outcome).toBe('keys-unavailable')

    const asked = Array.from({ length: 500 }, () => want('a'))
    await turn()
    expect(asked.every(({ outcome }) => outcome === 'keys-unavailable')).toBe(true)
    expect(fetches).toHaveLength(1)

    clock.advance(1_000)
    const again = want('a')
    expect(fetches).toHaveLength(2)
    await fetches[1]!.answer(publish('a'))
    expect(again.outcome).toEqual(['a'])
  })

  test('begins with one warning and ends with one line', async () => {
    const { want, fetches, clock, log } = setUp()
    for (let n = 0; n < 3; n++) {
      want('a')
      await fetches[n]!.fail()
      clock.advance(1_000)
    }
    expect(log.lines).toEqual(['bearer: the keys of the issuer cannot be fetched'])
    want('a')
    await fetches[3]!.answer(publish('a'))
    expect(log.lines.slice(1)).toEqual(['bearer: the keys of the issuer can be fetched again'])
  })

  test('forgets where the keys were, so that a failed discovery is never kept', async () => {
    const { want, fetches, clock } = setUp()
    want('a')
    await fetches[0]!.fail()
    clock.advance(1_000)
    want('a')
    await fetches[1]!.answer(publish('a'))
    clock.advance(1_000)
    want('b')
    expect(fetches.map(({ rediscover }) => rediscover)).toEqual([true, true, false])
  })

  test('that hangs is given up after five seconds', async () => {
    const { want, fetches, clock } = setUp()
    want('a')
    clock.advance(4_999)
    expect(fetches[0]!.signal.aborted).toBe(false)
    clock.advance(1)
    expect(fetches[0]!.signal.aborted).toBe(true)
    await turn()

    clock.advance(1_000)
    const asked = want('a')
    await fetches[1]!.answer(publish('a'))
    expect(asked.outcome).toEqual(['a'])
  })

  test('does not take the process down if the log throws as well', async () => {
    const { keys, fetches, clock } = setUp()
    const broken = () => {
      throw new Error('the log is full')
    }
    const services = createServices({ clock, log: { info: broken, warn: broken, error: broken } })
    const outcome = keys.newer(services, () => true)
    await fetches[0]!.fail()
    await expect(outcome).resolves.toBe('keys-unavailable')
    clock.advance(1_000)
    const next = keys.newer(services, () => true)
    await fetches[1]!.answer(publish('a'))
    expect(await next).toMatchObject({ keys: [{ kid: 'a' }] })
  })
})

describe('keys that were fetched', () => {
  test('are renewed in the background after ten minutes', async () => {
    const { current, warm, fetches, clock } = setUp()
    await warm('a')
    clock.advance(599_999)
    expect(current()).toEqual(['a'])
    expect(fetches).toHaveLength(1)
    clock.advance(1)
    expect(current()).toEqual(['a'])
    expect(fetches).toHaveLength(2)
    expect(fetches[1]!.rediscover).toBe(true)
    await fetches[1]!.answer(publish('a', 'b'))
    expect(current()).toEqual(['a', 'b'])
  })

  test('serve for an hour while the provider is away, and not a millisecond longer', async () => {
    const { current, warm, fetches, clock } = setUp()
    await warm('a')
    clock.advance(3_599_999)
    expect(current()).toEqual(['a'])
    await fetches.at(-1)!.fail()
    expect(current()).toEqual(['a'])
    clock.advance(1)
    expect(current()).toBeUndefined()
  })

  test('are asked for at most once a second while the provider is away', async () => {
    const { current, warm, fetches, clock } = setUp()
    await warm('a')
    clock.advance(600_000)
    for (let n = 0; n < 50; n++) {
      current()
      await fetches.at(-1)!.fail()
      clock.advance(100)
    }
    expect(fetches).toHaveLength(1 + 5)
  })

  test('are renewed before they are too old, also if that is sooner than ten minutes', async () => {
    const { current, warm, fetches, clock } = setUp({ maxStaleMs: 60_000 })
    await warm('a')
    clock.advance(30_000)
    expect(current()).toEqual(['a'])
    expect(fetches).toHaveLength(2)
  })

  test('do not age when the wall clock jumps', async () => {
    const { current, warm, fetches, clock } = setUp()
    await warm('a')
    clock.jump(86_400_000)
    expect(current()).toEqual(['a'])
    clock.jump(-2 * 86_400_000)
    expect(current()).toEqual(['a'])
    expect(fetches).toHaveLength(1)
  })

  test('are the same set as long as the issuer publishes the same keys', async () => {
    const { keys, services, warm, want, fetches, clock } = setUp()
    await warm('a')
    const before = keys.current(services)
    clock.advance(1_000)
    want('x')
    await fetches[1]!.answer(publish('a'))
    expect(keys.current(services)).toBe(before)
    clock.advance(1_000)
    want('x')
    await fetches[2]!.answer(publish('b'))
    expect(keys.current(services)).not.toBe(before)
  })

  test('that are withdrawn are known to be gone, until they are published again', async () => {
    const { keys, services, warm, want, fetches, clock } = setUp()
    const lookup = () => keys.current(services)!.lookup('a', 'ES256')
    await warm('a')
    expect(lookup()).toMatchObject({ final: true, candidates: [{ kid: 'a' }] })

    clock.advance(1_000)
    want('b')
    await fetches[1]!.answer(publish('b'))
    expect(lookup()).toEqual({ final: true, candidates: [] })

    clock.advance(1_000)
    keys.suspect(services)
    await fetches[2]!.answer(publish('a', 'b'))
    expect(lookup()).toMatchObject({ final: true, candidates: [{ kid: 'a' }] })
  })

  test('that are withdrawn are remembered by name up to a hundred of them', async () => {
    const { keys, services, warm, want, fetches, clock } = setUp()
    const many = Array.from({ length: 150 }, (_, index) => `old-${index}`)
    await warm(...many)
    clock.advance(1_000)
    want('new')
    await fetches[1]!.answer(publish('new'))
    const known = many.filter((kid) => keys.current(services)!.lookup(kid, 'ES256').final)
    expect(known).toEqual(many.slice(50))
  })
})

describe('ready', () => {
  test('resolves when there are keys, and asks for them once', async () => {
    const { keys, services, fetches } = setUp()
    const both = Promise.all([keys.ready(services), keys.ready(services)])
    await fetches[0]!.answer(publish('a'))
    await both
    await keys.ready(services)
    expect(fetches).toHaveLength(1)
  })

  test('rejects when there are none to be had', async () => {
    const { keys, services, fetches } = setUp()
    const ready = keys.ready(services)
    void fetches[0]!.fail()
    await expect(ready).rejects.toThrow('the keys of https://issuer.test cannot be fetched')
  })
})

test('close ends what runs and whoever waits, and nothing starts again', async () => {
  const { keys, want, fetches, clock, log } = setUp()
  const asked = want('a')
  keys.close()
  await turn()
  expect(asked.outcome).toBe('keys-unavailable')
  expect(fetches[0]!.signal.aborted).toBe(true)
  clock.advance(10_000)
  expect(want('a').outcome).toBe('waiting')
  await turn()
  expect(fetches).toHaveLength(1)
  expect(log.lines).toEqual([])
})

describe('a first set without a key that can be used', () => {
  test('is none, and a later one withdraws all keys', async () => {
    const { clock, current, want, warm, fetches, log } = setUp()
    const early = want('a')
    await fetches[0]!.answer({ keys: [], fingerprint: '', ignored: 2 })
    expect([early.outcome, current()]).toEqual(['keys-unavailable', undefined])
    expect(log.lines).toEqual(['bearer: the keys of the issuer cannot be fetched'])
    clock.advance(1_000)
    await warm('a')
    expect(current()).toEqual(['a'])
    clock.advance(600_000)
    current()
    await fetches.at(-1)!.answer(publish())
    expect(current()).toEqual([])
  })

  test.each<[string, (jwks: { keys: object[] }) => object]>([
    ['empty', () => ({ keys: [] })],
    ['only for encryption', ({ keys }) => ({ keys: keys.map((one) => ({ ...one, use: 'enc' })) })],
  ])('makes no good token a bad one: %s', async (_what, spoil) => {
    const clock = fakeClock()
    const issuer = localIssuer({ clock })
    let isReady = false
    const fetching: typeof fetch = async (...call) => {
      const reply = await issuer.fetch(...call)
      const json = (await reply.clone().json()) as { keys?: object[] }
      return json.keys === undefined || isReady ? reply : Response.json(spoil({ keys: json.keys }))
    }
    const method = bearer({ issuer: issuer.issuer, audience: issuer.audience })
    const { get, handled } = serve(method, { clock, fetch: fetching })
    const token = `Bearer ${issuer.mint()}`
    const reply = await get('/').set('Authorization', token).expect(503)
    expect(reply.headers['content-type']).toContain('application/problem+json')
    expect(reply.body).toMatchObject({ type: 'urn:secure-api:problem:identity-provider-unavailable' })
    expect(reply.headers).toHaveProperty('retry-after')
    expect(handled()).toBe(0)
    isReady = true
    clock.advance(1_000)
    await get('/').set('Authorization', token).expect(200)
  })
})
