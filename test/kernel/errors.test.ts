import express from 'express'
import { createServer, type ServerResponse } from 'node:http'
import request from 'supertest'
import { asyncHandler } from '../../src/kernel/async-handler.js'
import { defineStage } from '../../src/kernel/define.js'
import { refuse } from '../../src/kernel/problem.js'
import { forward, RefusedError } from '../../src/kernel/respond.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { expectRefused, serve } from '../../src/testing/index.js'
import { silent, testApi } from '../support/api.js'
import { expressVersions } from '../support/express.js'
import { polluted } from '../support/polluted.js'
import { unreadable } from '../support/unreadable.js'

const SECRET = 'canary-4111-1111'

/** A logger that keeps what it is told. */
function logging() {
  const said: string[] = []
  return { said, log: { ...silent, error: (message: string) => void said.push(message) } }
}

const FAILURES: [string, unknown, number, string][] = [
  ['an error', new Error(SECRET), 500, 'broken'],
  ['a text', SECRET, 500, 'broken'],
  ['null', null, 500, 'broken'],
  ['an object that cannot be shown', { toString: () => { throw new Error(SECRET) } }, 500, 'broken'], // prettier-ignore
  ['a status that may not be told', Object.assign(new Error(SECRET), { status: 404 }), 500, 'broken'],
  ['one that may', Object.assign(new Error(SECRET), { status: 404, expose: true }), 404, 'http-404'],
  ...unreadable.map(([what, value]): [string, unknown, number, string] => [what, value, 500, 'broken']),
  ['half a status', Object.assign(new Error(SECRET), { status: 404.5, expose: true }), 500, 'broken'],
  ['a store that is away', new StoreUnavailable(SECRET, 1, 500), 503, 'store-unavailable'],
  ['a refusal', new RefusedError(refuse('forbidden', { reason: SECRET })), 403, 'forbidden'],
]

describe.each(expressVersions)('on %s', (_name, express) => {
  const doors = ['app.use', 'the front door'] as const

  const appWith = (handler: (...call: never[]) => unknown, door: (typeof doors)[number], errors = true) => {
    const { said, log } = logging()
    const { api, events } = testApi({ auth: false, log })
    const app = express()
    if (door === 'app.use') app.use(api as never)
    app.get('/x', handler as never)
    if (errors) app.use(api.errors() as never)
    return { said, events, server: createServer(door === 'app.use' ? app : api.protect(app as never)) }
  }

  describe.each(doors)('through %s', (door) => {
    // Express takes a thrown or passed `null` for "no error".
    const failures = FAILURES.filter(([, error]) => error !== null)

    test.each(failures)('a handler that throws %s', async (_what, error, status, code) => {
      const { server, events } = appWith(() => {
        throw error
      }, door)
      const reply = await request(server).get('/x').expect(status)
      expect(JSON.parse(reply.text)).toMatchObject({ code, status })
      expect(reply.text).not.toContain(SECRET)
      expect(reply.headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      })
      expect(events.filter(({ kind }) => kind !== 'undecided')).toMatchObject([
        { kind: 'decision', code, status, stage: 'handler' },
      ])
    })

    test.each(FAILURES)('an async handler that rejects with %s', async (_what, error, status, code) => {
      // Express 5 hears of rejections by itself; Express 4 by this.
      const { server } = appWith(
        asyncHandler(() => Promise.reject(error as Error)),
        door,
      )
      const reply = await request(server).get('/x').expect(status)
      expect(JSON.parse(reply.text)).toMatchObject({ code, status })
      expect(reply.text).not.toContain(SECRET)
    })

    test('a handler that answers and then throws has answered, and the log says so', async () => {
      const { server, said, events } = appWith((_req: unknown, res: ServerResponse) => {
        res.setHeader('Content-Type', 'text/plain').end('done')
        throw new Error(SECRET)
      }, door)
      await request(server).get('/x').expect(200, 'done')
      expect(said).toEqual(['handler: failed after it had answered'])
      expect(events.filter(({ kind }) => kind === 'request')).toMatchObject([
        { outcome: 'answered', status: 200 },
      ])
    })

    test('a handler that answers twice is answered once, and the log says so', async () => {
      const { server, said } = appWith((_req: unknown, res: { json: (body: object) => void }) => {
        res.json({ first: true })
        res.json({ second: true })
      }, door)
      await request(server).get('/x').expect(200, { first: true })
      expect(said).toEqual(['handler: failed after it had answered'])
    })

    test('a handler that throws in the midst of its answer has its connection cut, and is on record as broken', async () => {
      const { server, events } = appWith((_req: unknown, res: ServerResponse) => {
        res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': '10' }).write('half')
        throw new Error(SECRET)
      }, door)
      await expect(request(server).get('/x')).rejects.toThrow()
      await new Promise((resolve) => setImmediate(resolve))
      expect(events.filter(({ kind }) => kind !== 'undecided')).toMatchObject([
        { kind: 'decision', outcome: 'failed', code: 'broken' },
      ])
    })
  })
})

test('Express 5 hears of rejections by itself', async () => {
  const { api } = testApi({ auth: false })
  const app = express()
  app.use(api as never)
  app.get('/x', async () => Promise.reject(new Error(SECRET)))
  app.use(api.errors() as never)
  const { text } = await request(app).get('/x').expect(500)
  expect(JSON.parse(text)).toMatchObject({ code: 'broken' })
})

describe('on plain node:http', () => {
  test.each(FAILURES)('a handler that throws, or rejects with, %s', async (_what, error, status, code) => {
    const { api } = testApi({ auth: false })
    const throwing = api.protect(() => {
      throw error
    })
    const rejecting = api.protect(() => Promise.reject(error))
    for (const door of [throwing, rejecting]) {
      const reply = await request(createServer(door)).get('/x').expect(status)
      expect(JSON.parse(reply.text)).toMatchObject({ code, status })
      expect(reply.text).not.toContain(SECRET)
    }
  })
})

describe('a refusal', () => {
  test.each([
    ['null', null],
    ['undefined', undefined],
    ['{}', {}],
  ])('to which there is nothing to add is one: %s', async (_what, details) => {
    const closed = defineStage('closed', () => ({ enter: () => refuse('forbidden', details) }))
    const { handled, get } = serve(closed())
    await get('/').expect(expectRefused('forbidden'))
    expect(handled()).toBe(0)
  })

  test.each([
    ['detail', 'forged'],
    ['members', { forged: true }],
    ['mediaType', 'text/html'],
    ['headers', { 'X-Forged': 'yes' }],
    ['rule', 'forged'],
    ['reason', 'forged'],
    ['cause', 'forged'],
    ['always', true],
  ])('says nothing that a polluted prototype has as %s', (name, value) => {
    const some = () => [refuse('forbidden'), refuse('forbidden', { rule: 'mine', detail: 'No.' })]
    const problems = some()
    expect(polluted({ [name]: value }, some)).toEqual(problems)
  })
})

describe('a refusal of your own', () => {
  test.each<[string, unknown]>([
    ['there is no problem "forbiden". Did you mean "forbidden"?', 'forbiden'],
    ['there is no problem "constructor"', 'constructor'],
    ['got status 204', { code: 'a', status: 204, title: 'b' }],
    ['got status 200', { code: 'a', status: 200, title: 'b' }],
    ['got status 700', { code: 'a', status: 700, title: 'b' }],
    ['got an object', { code: 'a', status: '403', title: 'b' }],
    ['got null', null],
  ])('is none: %s', (message, kind) => {
    expect(() => refuse(kind as 'forbidden')).toThrow(message)
  })
})

describe('what an application adds to a refusal', () => {
  test('to a field that has a list is not there in the next one', async () => {
    const { api } = testApi()
    const app = express()
    app.use(((_req: unknown, res: ServerResponse, next: () => void) => {
      const writeHead = res.writeHead.bind(res) as (...all: unknown[]) => ServerResponse
      res.writeHead = (...all: unknown[]) => {
        res.appendHeader('WWW-Authenticate', 'Negotiate')
        return writeHead(...all)
      }
      next()
    }) as never)
    app.use(api as never)
    const seen: unknown[] = []
    for (let i = 0; i < 3; i++)
      seen.push((await request(app).get('/x').expect(401)).headers['www-authenticate'])
    expect(seen).toEqual(Array(3).fill('Bearer realm="api", Negotiate'))
  })

  test('to one that was forwarded, and to its fields, is not there in the next one', async () => {
    const { api } = testApi({ respond: forward })
    const app = express()
    const seen: unknown[] = []
    app.use(api as never)
    app.use(((error: RefusedError, req: { url: string }, res: ServerResponse, _next: unknown) => {
      seen.push(JSON.stringify([error.problem.detail, error.headers]))
      ;(error.problem as { detail: string }).detail = `for ${req.url}`
      for (const name in error.headers) res.setHeader(name, error.headers[name] as string)
      res.appendHeader('WWW-Authenticate', 'Negotiate')
      res.writeHead(error.status).end()
    }) as never)
    for (const path of ['/a', '/b']) {
      const { headers } = await request(app).get(path).expect(401)
      expect(headers['www-authenticate']).toBe('Bearer realm="api", Negotiate')
    }
    const fields = { 'WWW-Authenticate': ['Bearer realm="api"'] }
    expect(seen).toEqual(
      Array(2).fill(JSON.stringify(['No credential of an accepted kind was sent', fields])),
    )
  })
})

describe('a forwarded refusal', () => {
  test('that is written as JSON tells nothing of the rule', async () => {
    const { api, as } = testApi({
      respond: forward,
      rbac: { roles: { admin: ['orders:cancel'] } },
      routes: { 'GET /x': { rbac: 'orders:cancel' } },
    })
    const app = express()
    app.use(api as never)
    app.use(((error: RefusedError, _req: unknown, res: { json: (body: unknown) => void }, _next: unknown) =>
      res.json({ error })) as never)
    const { body } = await request(app).get('/x').set('Authorization', as())
    expect(body).toEqual({ error: { code: 'forbidden', status: 403, title: 'The caller may not do this.' } })
  })

  test('shows what clients may know, and no more', () => {
    const problem = refuse('rate-limited', {
      detail: 'Slow down.',
      rule: 'r',
      reason: SECRET,
      cause: new Error(SECRET),
    })
    const error = new RefusedError(problem)
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'rate-limited',
      status: 429,
      title: 'Too many requests.',
      detail: 'Slow down.',
    })
    expect(error).toMatchObject({ name: 'RefusedError', status: 429, message: 'Slow down.', headers: {} })
  })
})
