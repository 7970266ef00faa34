import { randomBytes } from 'node:crypto'
import { apiKeys, type CreateKeyOptions } from '../../src/identity/api-keys.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { memory } from '../../src/kernel/memory.js'
import { fakeClock } from '../../src/testing/index.js'

const pepper = randomBytes(32)
const DAY = 86_400_000

function desk() {
  const clock = fakeClock()
  const store = memory({ clock })
  return { clock, store, keys: apiKeys({ store, pepper, prefix: 'acme', clock }) }
}

async function all(found: AsyncIterable<{ id: string }>): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of found) ids.push(id)
  return ids.sort()
}

test('a key is made, found, listed by its owner, and told apart from others', async () => {
  const { keys, clock } = desk()
  const request: CreateKeyOptions = {
    owner: 'partner-7',
    name: 'export',
    scopes: ['orders:read'],
    roles: ['partner'],
    cidrs: ['192.0.2.0/24'],
    limit: { limit: 10, windowMs: 60_000 },
    expiresAt: clock.now() + DAY,
  }
  const { key, info } = await keys.create(request)
  expect(key).toContain(`acme_${info.id}_`)
  expect(info).toEqual({
    ...request,
    id: info.id,
    createdAt: clock.now(),
    secrets: [{ createdAt: clock.now() }],
  })
  const other = await keys.create({ owner: 'partner-8' })
  expect(await keys.get(info.id)).toEqual(info)
  expect(await all(keys.list())).toEqual([info.id, other.info.id].sort())
  expect(await all(keys.list({ owner: 'partner-8' }))).toEqual([other.info.id])
  expect(await all(keys.list({ owner: 'partner' }))).toEqual([])
})

test('a lifetime is counted from now', async () => {
  const { keys, clock } = desk()
  const { info } = await keys.create({ owner: 'a', lifetimeMs: DAY })
  expect(info.expiresAt).toBe(clock.now() + DAY)
})

test('what there is not is nothing, and no reason to fail', async () => {
  const { keys } = desk()
  expect(await keys.get('nobody')).toBeUndefined()
  expect(await keys.rotate('nobody')).toBeUndefined()
  expect(await keys.revoke('nobody')).toBeUndefined()
  expect(await all(keys.list())).toEqual([])
})

test('what is over cannot be rotated, and is not good again', async () => {
  const { keys, clock } = desk()
  const revoked = await keys.create({ owner: 'a' })
  const at = clock.now()
  expect((await keys.revoke(revoked.info.id))!.revokedAt).toBe(at)
  clock.advance(1_000)
  expect((await keys.revoke(revoked.info.id))!.revokedAt).toBe(at)
  expect(await keys.rotate(revoked.info.id)).toBeUndefined()

  const expired = await keys.create({ owner: 'a', expiresAt: clock.now() + 1 })
  clock.advance(1)
  expect(await keys.rotate(expired.info.id)).toBeUndefined()
})

test('a rotated key keeps its id and everything else', async () => {
  const { keys, clock } = desk()
  const { info } = await keys.create({ owner: 'a', scopes: ['b'] })
  const made = clock.now()
  clock.advance(DAY)
  const rotated = await keys.rotate(info.id)
  expect(rotated!.info).toEqual({
    ...info,
    secrets: [{ createdAt: clock.now() }, { createdAt: made, graceUntil: clock.now() + DAY }],
  })
})

test('whatever many do to a key at once, none of it is lost', async () => {
  const { keys } = desk()
  const { info } = await keys.create({ owner: 'a' })
  const rotations = Array.from({ length: 8 }, async () => keys.rotate(info.id))
  const [revoked] = await Promise.all([keys.revoke(info.id), ...rotations])
  expect(revoked!.revokedAt).toBeDefined()
  expect((await keys.get(info.id))!.revokedAt).toBe(revoked!.revokedAt)
})

test('a key that others change all the time is given up, and says so', async () => {
  const { store } = desk()
  const records = { get: store.records.get.bind(store.records), replace: () => false }
  const contended = apiKeys({ store: { records: records as never }, pepper })
  const { info } = await apiKeys({ store, pepper }).create({ owner: 'a' })
  await expect(contended.revoke(info.id)).rejects.toThrow(
    'The key was changed by others all the time; try again',
  )
  await expect(contended.create({ owner: 'a' })).rejects.toThrow('There is a key with this id already')
})

test('a key that is over stays known for 90 days, and then takes no room', async () => {
  const { keys, clock } = desk()
  const expiring = await keys.create({ owner: 'a', expiresAt: clock.now() + DAY })
  const revoked = await keys.create({ owner: 'a' })
  const lasting = await keys.create({ owner: 'a' })
  await keys.revoke(revoked.info.id)
  clock.advance(90 * DAY - 1)
  expect(await all(keys.list())).toHaveLength(3)
  clock.advance(1)
  expect(await all(keys.list())).toEqual([expiring.info.id, lasting.info.id].sort())
  clock.advance(DAY)
  expect(await all(keys.list())).toEqual([lasting.info.id])
})

test('a store that is away is an error, within its time', async () => {
  const records = {
    replace: () => new Promise(() => undefined),
    get: () => Promise.reject(new Error('down')),
  }
  const keys = apiKeys({ store: { records: records as never }, pepper, storeTimeoutMs: 5 })
  await expect(keys.create({ owner: 'a' })).rejects.toMatchObject({ name: 'StoreUnavailable' })
  await expect(keys.get('a')).rejects.toMatchObject({ name: 'StoreUnavailable' })
})

test.each<[string, unknown]>([
  ['list has no option "ownr". Did you mean "owner"?', { ownr: 'a' }],
  ['list.owner is undefined; give it a value, or leave the key out', { owner: undefined }],
  ['list.owner must be 1 to 200 characters without control characters, got 7', { owner: 7 }],
  ['list must be an object of options, got null', null],
])('a list that would be of all owners by a slip is refused at once: %s', (message, filter) => {
  expect(() => desk().keys.list(filter as object)).toThrow(new ConfigError(message))
})

test('a rotation with an unknown option changes nothing', async () => {
  const { keys } = desk()
  const { info } = await keys.create({ owner: 'a' })
  await expect(keys.rotate(info.id, { grace: 0 } as object)).rejects.toThrow(
    'rotate has no option "grace". Did you mean "graceMs"?',
  )
  expect((await keys.get(info.id))?.secrets).toHaveLength(1)
})

describe('what a key cannot be', () => {
  const { keys, clock } = desk()
  test.each<[object, string]>([
    [{}, 'create.owner must be 1 to 200 characters without control characters, got undefined'],
    [
      { owner: '' },
      'create.owner must be 1 to 200 characters without control characters, got an empty string',
    ],
    [
      { owner: 'a\nb' },
      'create.owner must be 1 to 200 characters without control characters, got a string of 3 characters',
    ],
    [
      { owner: 'a\ud800' },
      'create.owner must be 1 to 200 characters without control characters, got a string of 2 characters',
    ],
    [
      { owner: 'a'.repeat(201) },
      'create.owner must be 1 to 200 characters without control characters, got a string of 201 characters',
    ],
    [{ owner: 'a', scope: 'b' }, 'create has no option "scope". Did you mean "scopes"?'],
    [
      { owner: 'a', scopes: 'b' },
      'create.scopes must be a list of at most 100 texts, got a string of 1 characters',
    ],
    [{ owner: 'a', scopes: undefined }, 'create.scopes is undefined; give it a value, or leave the key out'],
    [
      { owner: 'a', cidrs: [] },
      'create.cidrs is empty; name a range, or leave the key out to let it be used from everywhere',
    ],
    [
      { owner: 'a', roles: [5] },
      'create.roles must be 1 to 200 characters without control characters, got 5',
    ],
    [
      { owner: 'a', limit: { limit: 0, windowMs: 1_000 } },
      'create.limit.limit must be an integer from 1 to 1000000000000000, got 0',
    ],
    [
      { owner: 'a', limit: { limit: 1, windowMs: 999 } },
      'create.limit.windowMs must be an integer from 1000 to 31622400000, got 999',
    ],
    [
      { owner: 'a', expiresAt: clock.now() },
      'create.expiresAt must be in the future, in milliseconds since 1970',
    ],
    [
      { owner: 'a', expiresAt: '2031-01-01' },
      'create.expiresAt must be an integer of at least 1, got a string of 10 characters',
    ],
  ])('%#', async (request, message) => {
    await expect(keys.create(request as CreateKeyOptions)).rejects.toThrow(new ConfigError(message))
    expect(await all(keys.list())).toEqual([])
  })

  test.each(['a b', 'a"', ''])('a scope named %j', async (scope) => {
    await expect(keys.create({ owner: 'a', scopes: [scope] })).rejects.toThrow(
      /^create\.scopes must name one scope/,
    )
  })

  test.each([
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/0',
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0/8',
    '010.0.0.0/8',
    '2001:db8::/129',
    '2001:db8::/32/32',
    'fe80::1%eth0/64',
    'example.com/8',
    '10.0.0.0/8 ',
    '10.0.0.0/-1',
    '10.0.0.0/1e1',
  ])('%j is no range', async (cidr) => {
    await expect(keys.create({ owner: 'a', cidrs: [cidr] })).rejects.toThrow(
      /^create\.cidrs must list CIDR ranges/,
    )
  })

  test('grace without an end, or before now', async () => {
    for (const graceMs of [-1, 0.5, Infinity]) {
      await expect(keys.rotate('a', { graceMs })).rejects.toThrow(/^rotate\.graceMs must be an integer/)
    }
  })
})
