import { randomBytes } from 'node:crypto'
import { apiKeys } from '../../src/identity/api-keys.js'
import { backends, startProcess, type ApiProcess, type Backend } from '../support/processes.js'

const pepper = randomBytes(32).toString('base64')

const SERVER = `
  const options = { store, pepper: args[0], prefix: 'acme' }
  const guard = secureApi.apiKey(options, { storeTimeoutMs: 10_000 })
  const keys = secureApi.apiKeys(options)
  listen(async (req, res) => {
    const [, what, id] = req.url.split('/')
    if (what === '') return guard(req, res, () => res.end('{}'))
    res.end(JSON.stringify(await keys[what](id)))
  })
`

async function ask({ origin }: ApiProcess, key: string): Promise<number> {
  const reply = await fetch(origin, { headers: { 'X-API-Key': key } })
  await reply.arrayBuffer()
  return reply.status
}

/** What the desk of one process says. */
async function told<T>({ origin }: ApiProcess, what: 'rotate' | 'revoke', id: string): Promise<T> {
  return (await (await fetch(`${origin}/${what}/${id}`)).json()) as T
}

describe.each(backends)('two processes over one %s', (_kind, start) => {
  let backend: Backend
  let apis: ApiProcess[] = []
  beforeAll(async () => {
    backend = await start()
    apis = await Promise.all([1, 2].map(() => startProcess(backend, SERVER, pepper)))
  })
  afterAll(async () => {
    for (const api of apis) await api.stop()
    await backend.stop()
  })
  const askBoth = (key: string) => Promise.all(apis.map((api) => ask(api, key)))

  test('know the same keys, and a revocation holds in both from the next request on', async () => {
    const keys = apiKeys({ store: backend.store, pepper, prefix: 'acme' })
    const { key, info } = await keys.create({ owner: 'partner-7' })
    expect(await askBoth(key)).toEqual([200, 200])
    const rotated = await keys.rotate(info.id)
    expect([await askBoth(key), await askBoth(rotated!.key)]).toEqual([
      [200, 200],
      [200, 200],
    ])
    await keys.rotate(info.id, { graceMs: 0 })
    expect(await askBoth(rotated!.key)).toEqual([401, 401])
    await keys.revoke(info.id)
    expect(await askBoth(key)).toEqual([401, 401])
  })

  test('let through what the limit of a key says, and not one request more', async () => {
    const keys = apiKeys({ store: backend.store, pepper, prefix: 'acme' })
    const { key } = await keys.create({ owner: 'partner-7', limit: { limit: 37, windowMs: 600_000 } })
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(apis[i % 2]!, key)))
    expect(answers.filter((status) => status === 200)).toHaveLength(37)
    expect(answers.filter((status) => status === 429)).toHaveLength(13)
    expect(await askBoth(key)).toEqual([429, 429])
  })

  test('change one key at once, and lose nothing of it', async () => {
    const keys = apiKeys({ store: backend.store, pepper, prefix: 'acme' })
    const { key, info } = await keys.create({ owner: 'partner-7' })
    const everyone = [...apis, ...apis]
    const rotated = await Promise.all(everyone.map((api) => told<{ key: string }>(api, 'rotate', info.id)))
    const answers = await Promise.all(rotated.map((one) => ask(apis[0]!, one.key)))
    // Two secrets are good at most; one of them is the last that was made.
    expect(answers.filter((status) => status === 200)).toHaveLength(2)
    // The one that everybody had was the first to go.
    expect(await askBoth(key)).toEqual([401, 401])

    const ended = await Promise.all(
      everyone.map((api) => told<{ revokedAt: number }>(api, 'revoke', info.id)),
    )
    expect(new Set(ended.map(({ revokedAt }) => revokedAt)).size).toBe(1)
    expect(await Promise.all(rotated.map((one) => ask(apis[1]!, one.key)))).toEqual([401, 401, 401, 401])
  })
})
