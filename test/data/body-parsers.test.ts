import connect from 'connect'
import express5 from 'express'
import express4 from 'express4'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import request from 'supertest'
import { body } from '../../src/data/body.js'
import { contextOf } from '../../src/kernel/context.js'

type Parsed = IncomingMessage & { body?: unknown }

const echo = (req: Parsed, res: ServerResponse) => {
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify({ body: req.body }))
}
const types = { json: 'application/json', form: 'application/x-www-form-urlencoded' }

describe.each([
  ['Express 4', express4],
  ['Express 5', express5],
])('on %s', (_version, express) => {
  const before = () => {
    const stage = body()
    const app = express()
    app.use(stage)
    app.use(express.json({ limit: 10, type: () => true }))
    app.use(echo)
    return { app, stage }
  }

  test.each(['{"a":"longer than the limit of the later parser"}', '{}'])(
    'a later express.json() leaves alone what was read: %s',
    async (text) => {
      const { app, stage } = before()
      const reply = await request(app).post('/').type(types.json).send(text).expect(200)
      expect(reply.body).toEqual({ body: JSON.parse(text) })
      expect(stage.stage.findings()).toEqual([])
    },
  )

  test('a later express.json() invents no body where it was empty', async () => {
    const { app } = before()
    const reply = await request(app).post('/').type(types.json).set('Content-Length', '0').expect(200)
    expect(reply.body).toEqual({})
  })

  test('later parsers of other types still work', async () => {
    const app = express()
    app.use(body())
    app.use(express.urlencoded({ extended: false }))
    app.use(echo)
    const reply = await request(app).post('/').type(types.form).send('a=1').expect(200)
    expect(reply.body).toEqual({ body: { a: '1' } })
  })

  const after = (options?: Parameters<typeof body>[0]) => {
    const stage = options === undefined ? body() : body(options)
    const app = express()
    app.use(express.json({ limit: '1mb', strict: false }), express.urlencoded({ extended: true }))
    app.use(stage)
    app.use(echo)
    return { app, stage }
  }

  test('a body that was parsed before is taken over, and named by a finding', async () => {
    const { app, stage } = after()
    await request(app).get('/').expect(200)
    expect(stage.stage.findings()).toEqual([])

    const reply = await request(app).post('/').type(types.json).send('{"a":[1]}').expect(200)
    expect(reply.body).toEqual({ body: { a: [1] } })
    expect(stage.stage.findings()).toMatchObject([{ code: 'body-parsed-before', severity: 'medium' }])
  })

  test.each([
    ['{"__proto__":{"a":1}}', types.json],
    ['{"constructor":{"prototype":{"a":1}}}', types.json],
    ['['.repeat(65) + ']'.repeat(65), types.json],
    [`[${'1,'.repeat(10_000)}1]`, types.json],
    ['a[b][c][d]=1', types.form],
  ])('the limits on structure hold for a body that was parsed before: %.20s', async (text, type) => {
    const { app } = after({ maxDepth: type === types.form ? 2 : 64 })
    const reply = await request(app).post('/').type(type).send(text).expect(400)
    expect(reply.body.code).toBe('malformed-body')
  })

  test('a stream that somebody consumed does not hang the request', async () => {
    const app = express()
    app.use((req, _res, next) => {
      req.resume().on('end', next)
    })
    app.use(body())
    app.use(echo)
    await request(app).post('/').type(types.json).send('{"a":1}').expect(200, {})
  })

  test('a stream that somebody began to consume does not hang the request', async () => {
    const app = express()
    app.use((req, _res, next) => {
      req.once('data', () => next())
    })
    app.use(body())
    app.use(echo)
    await request(app).post('/').type(types.json).send('{"a":1}').expect(200, {})
  })

  test('a stream that somebody paused is read', async () => {
    const app = express()
    app.use((req, _res, next) => {
      req.pause()
      setImmediate(next)
    })
    app.use(body())
    app.use(echo)
    await request(app)
      .post('/')
      .type(types.json)
      .send('{"a":1}')
      .expect(200, { body: { a: 1 } })
  })

  test('a stream that decodes itself is a mistake of the application: 500', async () => {
    const app = express()
    app.use((req, _res, next) => {
      req.setEncoding('utf8')
      next()
    })
    app.use(
      body(undefined, { log: { info: () => undefined, warn: () => undefined, error: () => undefined } }),
    )
    app.use(echo)
    await request(app).post('/').type(types.json).send('{"a":1}').expect(500)
  })
})

test('it works on Connect', async () => {
  const app = connect()
  app.use(body() as never)
  app.use(echo as never)
  const server = createServer(app)
  await request(server)
    .post('/')
    .type(types.json)
    .send('{"a":1}')
    .expect(200, { body: { a: 1 } })
  await request(server).post('/').type(types.json).send('{').expect(400)
})

test('a body without declared length, set by an adapter, is taken over', async () => {
  const stage = body()
  const server = createServer((req, res) => {
    ;(req as Parsed).body = { a: 1 }
    stage(req, res, () => echo(req, res))
  })
  await request(server)
    .get('/')
    .expect(200, { body: { a: 1 } })
})

test('no vector leaves a trace on Object.prototype', async () => {
  const names = () => Reflect.ownKeys(Object.prototype)
  const before = names()
  const app = express5()
  app.use(body({ scalars: true }))
  app.use((req: Parsed, res) => {
    Object.assign({}, req.body)
    res.json({ seen: contextOf(req)?.input })
  })
  for (const text of [
    '{"__proto__":{"polluted":1}}',
    '{"__pro\\u0074o__":{"polluted":1}}',
    '[{"constructor":{"prototype":{"polluted":1}}}]',
    '{"a":{"__proto__":{"__proto__":{"polluted":1}}}}',
    '{"constructor":"a","prototype":{"polluted":1}}',
  ]) {
    await request(app).post('/').type(types.json).send(text)
  }
  expect(names()).toEqual(before)
  expect('polluted' in {}).toBe(false)
})
