import { randomBytes } from 'node:crypto'
import { backends, startProcess, type ApiProcess, type Backend } from '../support/processes.js'

const secret = randomBytes(32).toString('base64')

/** An issuer of its own whose keys sign for an hour, by a clock that can be moved. */
const SERVER = `
  let shift = 0
  const clock = {
    now: () => Date.now() + shift,
    monotonic: () => performance.now() + shift,
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms)
      return () => clearTimeout(timer)
    },
  }
  const issuer = 'https://api.test'
  const keyRing = { secret: args[0], rotateSeconds: 3_600, announceSeconds: 600 }
  const own = secureApi.tokens({ issuer, audience: issuer, store, clock, keyRing, storeTimeoutMs: 10_000 })
  const guard = secureApi.bearer(own.bearerOptions, { clock, storeTimeoutMs: 10_000 })
  listen(async (req, res) => {
    const [, what, ms] = req.url.split('/')
    if (what === '') return guard(req, res, () => res.end())
    if (what === 'later') shift += Number(ms)
    res.end(what === 'issue' ? (await own.issue({ subject: 'ann' })).access_token : '')
  })
`

describe.each(backends)('two processes over one %s', (_kind, start) => {
  let backend: Backend
  let apis: ApiProcess[] = []
  beforeAll(async () => {
    backend = await start()
    apis = await Promise.all([1, 2].map(() => startProcess(backend, SERVER, secret)))
  })
  afterAll(async () => {
    for (const api of apis) await api.stop()
    await backend.stop()
  })
  const text = async (api: ApiProcess, path: string) => (await fetch(api.origin + path)).text()
  const status = async (api: ApiProcess, token: string) => {
    const reply = await fetch(`${api.origin}/`, { headers: { Authorization: `Bearer ${token}` } })
    await reply.arrayBuffer()
    return reply.status
  }
  const everywhere = async (tokens: readonly string[]) =>
    Promise.all(tokens.flatMap((token) => apis.map((api) => status(api, token))))
  const kidOf = (token: string) =>
    (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid

  test('change their keys together under load, and no token of either is refused by either', async () => {
    const kids = new Set<string>()
    const statuses = new Set<number>()
    let tokens: string[] = []
    for (let minutes = 0; minutes < 240; minutes += 5) {
      await Promise.all(apis.map((api) => text(api, '/later/300000')))
      // Those of five minutes ago, and those that are made now.
      for (const one of await everywhere(tokens)) statuses.add(one)
      tokens = await Promise.all([...apis, ...apis].map((api) => text(api, '/issue')))
      for (const one of await everywhere(tokens)) statuses.add(one)
      for (const token of tokens) kids.add(kidOf(token))
    }
    expect([...statuses]).toEqual([200])
    expect(kids.size).toBe(4)
  })
})
