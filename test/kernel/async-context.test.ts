import { EventEmitter } from 'node:events'
import request from 'supertest'
import { getSecurity } from '../../src/kernel/async-context.js'
import { contextOf, type SecurityContext } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import { pipeline } from '../../src/kernel/pipeline.js'
import type { Stage } from '../../src/kernel/stage.js'
import { serve } from '../../src/testing/index.js'
import { silent, testApi } from '../support/api.js'
import { expressVersions } from '../support/express.js'

/** Deep in an application, where nobody hands the request on. */
async function caller(): Promise<string | undefined> {
  await Promise.resolve()
  await new Promise(setImmediate)
  return getSecurity()?.principal?.subject
}

/** Asked in another request's turn than it was called in, as a pool of connections does it. */
class Pool {
  private readonly waiting: (() => void)[] = []

  query(done: () => void): void {
    this.waiting.push(done)
  }

  answerAll(): void {
    for (const done of this.waiting.splice(0)) done()
  }
}

/** Keeps what each moment finds, by path. */
function witness(found: Record<string, (SecurityContext | undefined)[]>) {
  const see = (ctx: SecurityContext): void => void (found[ctx.path] ??= []).push(getSecurity())
  return defineStage('witness', (): Omit<Stage, 'name'> => ({
    enter: see,
    shape: (ctx, body) => (see(ctx), body),
    settle: see,
  }))
}

const own = (path: string, found: readonly (SecurityContext | undefined)[]) =>
  found.map((ctx) => ctx?.path).every((seen) => seen === path)

describe.each(expressVersions)('on %s', (_name, express) => {
  test.each([false, true])('who asks finds the request that is served (front door: %s)', async (front) => {
    const { api, as } = testApi({ asyncContext: true })
    const app = express()
    app.use(api as never)
    app.get(
      '/orders',
      api.guard({ rbac: 'authenticated' }) as never,
      (async (_req: unknown, res: never) => {
        ;(res as { json: (body: unknown) => void }).json({ caller: await caller() })
      }) as never,
    )
    const reply = await request(front ? api.protect(app as never) : app)
      .get('/orders')
      .set('Authorization', as({ sub: 'ann' }))
      .expect(200)
    expect(JSON.parse(reply.text)).toEqual({ caller: 'ann' })
    expect(getSecurity()).toBeUndefined()
  })

  test('nobody finds anything unless asyncContext is on', async () => {
    const { api } = testApi({ auth: false })
    const app = express()
    app.use(api as never)
    app.get('/', (req, res) => void res.json([getSecurity() ?? null, contextOf(req)?.path]))
    expect(JSON.parse((await request(app).get('/')).text)).toEqual([null, '/'])
  })
})

test('two requests that take turns never see each other', async () => {
  const { api, as } = testApi({ asyncContext: true })
  const steps = new EventEmitter()
  const server = api.protect(async (req, res) => {
    const seen: unknown[] = [await caller()]
    steps.emit(`arrived ${req.url}`)
    for (const step of ['one', 'two', 'three']) {
      await new Promise<void>((resolve) => steps.once(`${step} ${req.url}`, resolve))
      seen.push(await caller(), getSecurity()?.path)
    }
    res.end(seen.join(' '))
  })
  const send = (path: string, sub: string) =>
    request(server)
      .get(path)
      .set('Authorization', as({ sub }))
      .then(({ text }) => text)
  const arrived = ['/a', '/b'].map((path) => new Promise((resolve) => steps.once(`arrived ${path}`, resolve)))
  const replies = [send('/a', 'ann'), send('/b', 'bob')]
  await Promise.all(arrived)
  for (const step of ['one', 'two', 'three']) {
    for (const path of ['/a', '/b']) {
      steps.emit(`${step} ${path}`)
      await new Promise(setImmediate)
    }
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  }
  expect(await Promise.all(replies)).toEqual(['ann ann /a ann /a ann /a', 'bob bob /b bob /b bob /b'])
})

describe('a stage finds its own request', () => {
  test.each(['secureApi', 'pipeline'])(
    'at every moment, also where the handler answers from elsewhere (%s)',
    async (door) => {
      const found: Record<string, (SecurityContext | undefined)[]> = {}
      const stage = witness(found)()
      const pool = new Pool()
      const over = new Promise<void>((resolve) => {
        let settled = 0
        pool.query = function (done) {
          Pool.prototype.query.call(this, done)
          if (++settled === 2) resolve(this.answerAll())
        }
      })
      const answer = (_req: unknown, res: { json?: (body: unknown) => void }): void =>
        pool.query(() => res.json!({ ok: true }))

      const secured =
        door === 'secureApi'
          ? testApi({ auth: false, asyncContext: true, extra: [{ after: 'auth', stage }] }).api
          : pipeline([stage], { asyncContext: true, log: silent })
      const { get, server } = serve(secured, { handler: answer as never })
      await Promise.all([get('/a').expect(200), get('/b').expect(200), over])
      await new Promise((resolve) => server.close(resolve))

      for (const path of ['/a', '/b']) {
        expect(found[path]).toHaveLength(3)
        expect(own(path, found[path]!)).toBe(true)
      }
    },
  )

  test('and its handler too, where a promise of somebody else answers in another turn', async () => {
    const pool = new Pool()
    const foreign = defineStage('foreign', () => ({
      enter: () =>
        ({ then: (resolve: (value: undefined) => void) => pool.query(() => resolve(undefined)) }) as never,
    }))
    let waiting = 0
    const query = pool.query.bind(pool)
    pool.query = (done) => {
      query(done)
      if (++waiting === 2) pool.answerAll()
    }
    const { get } = serve(foreign(), {
      asyncContext: true,
      handler: (_req, res) => void res.end(getSecurity()?.path),
    })
    const [a, b] = await Promise.all([get('/a'), get('/b')])
    expect([a.text, b.text]).toEqual(['/a', '/b'])
  })
})

test('asyncContext is true or false', () => {
  expect(() => testApi({ asyncContext: 'yes' } as never)).toThrow('asyncContext must be true or false')
  expect(() => pipeline([], { asyncContext: 1 } as never)).toThrow(
    'pipeline.asyncContext must be true or false',
  )
})
