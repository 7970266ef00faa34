import { session } from '../../src/identity/session.js'
import { backends, startProcess, type ApiProcess, type Backend } from '../support/processes.js'

const SERVER = `
  const sessions = secureApi.session({ store, maxSessions: 4, storeTimeoutMs: 10_000 }, { storeTimeoutMs: 10_000 })
  const handlers = {
    '/login': (req, res) => sessions.login(req, res, { subject: 'ann', factors: ['pwd'] }),
    '/rotate': (req, res) => sessions.rotate(req, res),
    '/logout': (req, res) => sessions.logout(req, res),
  }
  listen((req, res) => {
    const handler = handlers[req.url]
    if (handler === undefined) return sessions(req, res, () => res.end('{}'))
    handler(req, res).then(
      () => res.end('{}'),
      ({ status = 500 }) => res.writeHead(status).end('{}'),
    )
  })
`

describe.each(backends)('two processes over one %s', (_kind, start) => {
  let backend: Backend
  let apis: ApiProcess[] = []
  beforeAll(async () => {
    backend = await start()
    apis = await Promise.all([1, 2].map(() => startProcess(backend, SERVER)))
  })
  afterAll(async () => {
    for (const api of apis) await api.stop()
    await backend.stop()
  })

  const send = async (api: number, path: string, cookie = '') => {
    const reply = await fetch(apis[api]!.origin + path, { headers: { cookie } })
    await reply.arrayBuffer()
    return { status: reply.status, cookie: reply.headers.getSetCookie()[0]?.split(';')[0] ?? '' }
  }
  const both = async (cookie: string) =>
    Promise.all([0, 1].map(async (api) => (await send(api, '/', cookie)).status))

  test('know the same sessions, and what ends in one has ended in both', async () => {
    const { cookie } = await send(0, '/login')
    expect(await both(cookie)).toEqual([200, 200])
    const { cookie: rotated } = await send(1, '/rotate', cookie)
    expect([await both(cookie), await both(rotated)]).toEqual([
      [401, 401],
      [200, 200],
    ])
    expect((await send(0, '/logout', rotated)).status).toBe(200)
    expect(await both(rotated)).toEqual([401, 401])

    const { cookie: again } = await send(1, '/login')
    const desk = session({ store: backend.store, storeTimeoutMs: 10_000 })
    expect(await desk.revokeAll('ann')).toBe(1)
    expect(await both(again)).toEqual([401, 401])
  })

  test('keep to one bound, and rotate a session once, whoever is asked at the same time', async () => {
    const begun = await Promise.all([0, 1, 0, 1, 0, 1].map((api) => send(api, '/login')))
    const good = await Promise.all(begun.map(async ({ cookie }) => both(cookie)))
    expect(good.filter(([status]) => status === 200)).toHaveLength(4)
    const { cookie } = begun[good.findIndex(([status]) => status === 200)]!
    const rotated = await Promise.all([0, 1, 0, 1].map((api) => send(api, '/rotate', cookie)))
    expect(rotated.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401])
    expect(await both(cookie)).toEqual([401, 401])
    const desk = session({ store: backend.store, storeTimeoutMs: 10_000 })
    expect(await desk.list('ann')).toHaveLength(4)
    expect(await desk.revokeAll('ann')).toBe(4)
  })
})
