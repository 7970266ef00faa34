import { Cluster, Redis } from 'ioredis'
import { createCluster } from 'redis'
import type { CounterStore, Hit, Policy, Store } from '../../src/kernel/ports.js'
import { redis } from '../../src/stores/redis.js'
import { allOf } from '../../src/testing/record-contract.js'
import { freePort, PrivateRedis, until } from '../support/private-redis.js'

/** A cluster of one node is as strict about slots as any other. */
let server: PrivateRedis
let ioredis: Cluster
let nodeRedis: ReturnType<typeof createCluster>

beforeAll(async () => {
  const bus = await freePort()
  server = await PrivateRedis.start(
    '--cluster-enabled',
    'yes',
    '--cluster-port',
    String(bus),
    '--cluster-announce-ip',
    '127.0.0.1',
  )
  const operator = new Redis(server.url)
  await operator.call('CLUSTER', ['ADDSLOTSRANGE', '0', '16383'])
  await until(async () => String(await operator.call('CLUSTER', ['INFO'])).includes('cluster_state:ok'))
  operator.disconnect()

  ioredis = new Cluster([{ host: '127.0.0.1', port: server.port }])
  nodeRedis = createCluster({ rootNodes: [{ url: server.url }] })
  await nodeRedis.connect()
})

afterAll(async () => {
  ioredis.disconnect()
  nodeRedis.destroy()
  await server.stop()
})

const policyOf = (name: string, algorithm: Policy['algorithm']): Policy => ({
  scope: 'rateLimit',
  name,
  limit: 5,
  windowMs: 60_000,
  algorithm,
})
const policies = [policyOf('a', 'fixed'), policyOf('b', 'sliding'), policyOf('c', 'gcra')]

jest.setTimeout(30_000)

describe.each<[string, () => Store]>([
  ['ioredis', () => redis(ioredis, { prefix: 'records-by-ioredis' })],
  ['node-redis', () => redis(nodeRedis, { prefix: 'records-by-node-redis' })],
])('records in a cluster by %s', (_kind, storeOf) => {
  test('are kept, replaced, listed and claimed, whatever their slots', async () => {
    const { records, once } = storeOf()
    const keys = Array.from({ length: 50 }, (_, i) => `key ${i}`)
    await Promise.all(keys.map(async (key) => records!.put('cluster', key, key)))
    expect(await records!.replace('cluster', 'key 7', 'key 7', 'seven')).toBe(true)
    expect(await records!.get('cluster', 'key 7')).toBe('seven')
    expect(await records!.delete('cluster', 'key 8')).toBe(true)
    const several = await records!.getMany!('cluster', ['key 9', 'key 8', 'key 7', 'none'])
    expect(several).toEqual(['key 9', undefined, 'seven', undefined])

    const found = await allOf(records!, 'cluster')
    expect(new Set(found)).toEqual(new Set(['seven', ...keys.filter((key) => !/ [78]$/.test(key))]))
    expect([await once!.claim('cluster', 'k', 1_000), await once!.claim('cluster', 'k', 1_000)]).toEqual([
      true,
      false,
    ])
  })
})

describe.each<[string, () => CounterStore]>([
  ['ioredis', () => redis(ioredis, { prefix: 'by-ioredis' }).counters],
  ['node-redis', () => redis(nodeRedis, { prefix: 'by-node-redis' }).counters],
])('a cluster by %s', (_kind, countersOf) => {
  test('refuses keys of several slots in one call, which is what this is about', async () => {
    await expect(ioredis.eval('return 1', 2, 'a', 'b')).rejects.toThrow(/slot/i)
  })

  test('counts all limits of a client', async () => {
    const counters = countersOf()
    const hits = policies.map((policy): Hit => ({ policy, key: 'client', cost: 1 }))
    await counters.hit(hits, 0)
    expect((await counters.hit(hits, 0)).map(({ left }) => left)).toEqual([3, 3, 3])
    expect(await counters.hit([hits[0]!], 0)).toMatchObject([{ left: 2 }])
  })

  test('counts several clients in one call, each answer in its place', async () => {
    const counters = countersOf()
    const hits = ['x', 'y', 'x', 'z', 'y'].map((key, i): Hit => ({ policy: policies[i % 3]!, key, cost: i }))
    expect((await counters.hit(hits, 0)).map(({ left }) => left)).toEqual([5, 4, 3, 2, 0])
  })
})
