import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bearer } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import { serve } from '../../src/testing/index.js'
import { until } from '../support/private-redis.js'
import { shiftedClock, signingKey, startProvider, type Provider } from '../support/provider.js'
import { quietConsole } from '../support/quiet-console.js'
import { traffic } from '../support/traffic.js'

let provider: Provider
let servers: Server[] = []

quietConsole()
beforeEach(async () => {
  provider = await startProvider('ES256')
})
afterEach(async () => {
  for (const server of servers) server.close().closeAllConnections()
  servers = []
  await provider.close()
})

const methods = {
  jwt: () => bearer(provider.trust),
  opaque: () => introspection(provider.trustAsClient),
}

/** An API that knows nothing of the provider yet, on a socket. */
async function start(kind: keyof typeof methods) {
  const clock = shiftedClock()
  const { server, handled } = serve(methods[kind](), { clock })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  let unsaid = 0
  const send = async (token: string) => {
    const reply = await fetch(origin, { headers: { Authorization: `Bearer ${token}` } })
    await reply.arrayBuffer()
    if (reply.status === 503 && reply.headers.get('retry-after') === null) unsaid++
    return reply.status
  }
  /** `unsaid`: how many 503 did not say when to come back. */
  return { clock, send, handled, unsaid: () => unsaid }
}

test('keys change three times in the middle of a load: no token is refused, and each change costs one fetch', async () => {
  const keys = ['a', 'b', 'c', 'd'].map((kid) => signingKey(kid, 'ES256'))
  provider.signWith([keys[0]!])
  const { clock, send, handled } = await start('jwt')
  const load = traffic(async () => send(await provider.token()))
  await load.goesOn(5)
  const before = provider.asked()

  for (const at of [1, 2, 3]) {
    // The last one comes within the second after a fetch: whoever brings it waits for the next.
    if (at < 3) clock.advance(1_000)
    provider.signWith([keys[at]!, keys[at - 1]!])
    await load.goesOn(5)
  }

  const statuses = await load.stop()
  expect(Object.keys(statuses)).toEqual(['200'])
  expect(handled()).toBe(statuses[200])
  expect(provider.asked() - before).toBe(3)
})

test('tokens of before the change are good as long as their key is published', async () => {
  const [first, second] = ['a', 'b'].map((kid) => signingKey(kid, 'ES256'))
  provider.signWith([first!])
  const { send, clock } = await start('jwt')
  const old = await Promise.all(Array.from({ length: 6 }, () => provider.token()))
  const load = traffic((worker) => send(old[worker]!))
  await load.goesOn(5)
  clock.advance(1_000)
  provider.signWith([second!, first!])
  expect(await send(await provider.token())).toBe(200)
  await load.goesOn(5)
  expect(Object.keys(await load.stop())).toEqual(['200'])
})

describe('the provider is stopped under traffic and started again', () => {
  test.each(['jwt', 'opaque'] as const)(
    '%s: who was known stays known, whoever is new gets 503, and all are in again without a restart',
    async (kind) => {
      provider.signWith([signingKey('a', 'ES256')], kind)
      const { send, unsaid, clock } = await start(kind)
      const known = await Promise.all(Array.from({ length: 4 }, () => provider.token()))
      const fresh = await provider.token()
      const load = traffic((worker) => send(known[worker]!), known.length)
      await load.goesOn(3)

      await provider.close()
      await load.goesOn(3)
      // The key of a JWT is known, whoever brings it; an opaque token says nothing by itself.
      expect(await send(fresh)).toBe(kind === 'jwt' ? 200 : 503)
      await provider.reopen()
      await load.goesOn(3)
      clock.advance(1_000)
      expect(await send(fresh)).toBe(200)

      expect(Object.keys(await load.stop())).toEqual(['200'])
      expect(unsaid()).toBe(0)
    },
  )

  test.each(['jwt', 'opaque'] as const)(
    '%s, cold: 503 and never 401, and all are in once it is there',
    async (kind) => {
      provider.signWith([signingKey('a', 'ES256')], kind)
      const tokens = await Promise.all(Array.from({ length: 4 }, () => provider.token()))
      await provider.close()
      const { send, unsaid, handled, clock } = await start(kind)
      const load = traffic((worker) => send(tokens[worker]!), tokens.length)
      await load.goesOn(5)
      expect(handled()).toBe(0)

      await provider.reopen()
      clock.advance(1_000)
      await until(() => handled() > 0)
      await load.goesOn(5)

      const statuses = await load.stop()
      expect(Object.keys(statuses)).toEqual(['200', '503'])
      expect(handled()).toBe(statuses[200])
      expect(await Promise.all(tokens.map(send))).toEqual([200, 200, 200, 200])
      expect(unsaid()).toBe(0)
    },
  )
})
