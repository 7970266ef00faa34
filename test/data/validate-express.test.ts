import connect from 'connect'
import express5, { type Request, type Response } from 'express'
import express4 from 'express4'
import { createServer, type IncomingMessage } from 'node:http'
import request from 'supertest'
import { z } from 'zod'
import { validate, validateWith } from '../../src/data/validate.js'
import { compile } from '../../src/kernel/compile.js'
import { contextOf } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import { routeParams } from '../../src/kernel/route-params.js'
import type { StageMiddleware } from '../../src/kernel/stage.js'

const integer = (...names: string[]) => ({
  type: 'object',
  properties: Object.fromEntries(names.map((name) => [name, { type: 'integer' }])),
})

const show = (req: Request, res: Response) =>
  void res.json({
    input: contextOf(req)?.input,
    params: req.params as unknown,
    names: Object.keys(req.params),
    query: req.query as unknown,
    body: req.body as unknown,
  })

describe.each([
  ['Express 4', express4],
  ['Express 5', express5],
])('on %s', (_version, express) => {
  describe('inline, before a handler', () => {
    test('the handler reads nothing that was not validated', async () => {
      const app = express()
      app.use(express.json())
      app.post(
        '/users/:id',
        validate({ params: integer('id'), query: integer('page'), body: integer('n') }),
        show,
      )

      const reply = await request(app).post('/users/7?page=2').send({ n: 1 }).expect(200)
      const input = { params: { id: 7 }, query: { page: 2 }, body: { n: 1 } }
      expect(reply.body).toEqual({ input, ...input, names: ['id'] })
      await request(app).post('/users/x').send({ n: 1 }).expect(422)
      await request(app).post('/users/7?page=2&page=3').send({ n: 1 }).expect(400)
    })

    test('what is stripped is gone, and what has a default is there', async () => {
      const app = express()
      const schema = {
        type: 'object',
        properties: { id: { type: 'integer' }, lang: { type: 'string', default: 'en' } },
      }
      app.get('/:kind/:id', validate({ params: schema, query: schema, unknown: 'strip' }), show)
      const reply = await request(app).get('/users/7?kind=x&id=1').expect(200)
      expect(reply.body.params).toEqual({ id: 7, lang: 'en' })
      expect(reply.body.query).toEqual({ id: 1, lang: 'en' })
    })

    test('a parameter that the schema does not know is refused', async () => {
      const app = express()
      app.get('/:kind/:id', validate({ params: integer('id') }), show)
      const reply = await request(app).get('/users/7').expect(422)
      expect(reply.body.errors).toEqual([
        { in: 'params', pointer: '#/kind', detail: 'is not a known member' },
      ])
    })

    describe.each([true, false])('behind it, in a router with mergeParams: %s', (mergeParams) => {
      const ofOrder = () => validate({ params: integer('id') })
      const behind = (...stages: StageMiddleware[]) => {
        const inner = express.Router({ mergeParams })
        inner.get('/items/:id', ...stages, show)
        inner.get('/lines/:line', show)
        const app = express()
        app.use('/orders/:id', ofOrder(), inner)
        app.get('/orders/:id/*rest'.replace('*rest', _version === 'Express 4' ? '*' : '*rest'), show)
        return app
      }
      const of = async (app: ReturnType<typeof behind>, path: string) =>
        ((await request(app).get(path).expect(200)).body as { params: unknown }).params

      test.each(["x'%20OR%201=1", '9', '__proto__', '7.0', '%37%37'])(
        'a route that uses the name again for %s: its handler sees neither value',
        async (id) => {
          expect(await of(behind(), `/orders/7/items/${id}`)).toEqual({})
        },
      )

      test('the same value is the validated one', async () => {
        expect(await of(behind(), '/orders/7/items/%37')).toEqual({ id: 7 })
      })

      test('a route that validates it sees its own, and the next one that of its own', async () => {
        const app = behind(ofOrder())
        expect(await of(app, '/orders/7/items/9')).toEqual({ id: 9 })
        await request(app).get('/orders/7/items/x').expect(422)
        expect(await of(app, '/orders/7/none')).toMatchObject({ id: 7 })
      })

      test('what it validated is there again behind an inner route that validated its own', async () => {
        const app = behind(ofOrder(), ((_req, _res, next) => next()) as StageMiddleware)
        const inner = express.Router({ mergeParams })
        inner.get('/items/:id', ofOrder(), (_req, _res, next) => next('router'))
        const outer = express()
        outer.use('/orders/:id', ofOrder(), inner, show as never)
        expect((await request(outer).get('/orders/7/items/9').expect(200)).body.params).toEqual({ id: 7 })
        expect(await of(app, '/orders/7/items/9')).toEqual({ id: 9 })
      })

      test('a name that nobody validated is as Express reads it', async () => {
        expect(await of(behind(), '/orders/7/lines/x')).toEqual({
          line: 'x',
          ...(mergeParams && { id: 7 }),
        })
      })

      test('a default is not given up for what another route calls by its name', async () => {
        const inner = express.Router({ mergeParams })
        inner.get('/:lang', show)
        const app = express()
        const params = {
          type: 'object',
          properties: { id: { type: 'integer' }, lang: { type: 'string', default: 'en' } },
        }
        app.use('/orders/:id', validate({ params }), inner)
        expect(await of(app, '/orders/7/xx')).toEqual(mergeParams ? { id: 7 } : {})
        expect(await of(app, '/orders/7/en')).toEqual({ lang: 'en', ...(mergeParams && { id: 7 }) })
      })
    })

    test('behind it, a handler of the next route sees what is validated as well', async () => {
      const app = express()
      app.get('/users/:id', validate({ params: integer('id') }), (_req, _res, next) => next('route'))
      app.get('/users/:id', show)
      app.get('/:kind/:name', show)
      expect((await request(app).get('/users/7').expect(200)).body.params).toEqual({ id: 7 })
    })

    test('a schema that makes no object of them leaves the handler none', async () => {
      const app = express()
      const params = z.object({ id: z.string() }).transform(({ id }) => Number(id))
      app.get('/users/:id', validate({ params }), show)
      const reply = await request(app).get('/users/7').expect(200)
      expect(reply.body).toMatchObject({ input: { params: 7 }, params: {} })
    })

    test('two of them add up', async () => {
      const app = express()
      const range = { type: 'object', properties: { id: { type: 'integer', maximum: 9 } } }
      app.get('/users/:id', validate({ params: integer('id') }), validate({ params: range }), show)
      expect((await request(app).get('/users/7').expect(200)).body.params).toEqual({ id: 7 })
      await request(app).get('/users/10').expect(422)
    })
  })

  describe('before Express has routed', () => {
    const rule = (params: Record<string, string>) =>
      defineStage('rule', () => ({ enter: (ctx) => ctx.set(routeParams, params) }))()
    /** What `secureApi` does at its front door, for a rule that fits. */
    const front = (params: Record<string, string>, ...stages: StageMiddleware[]) =>
      compile([rule(params), ...stages].map(({ stage }) => stage))
    /** A rule whose parameters are read as these. */
    const ofRoute = (read: Record<string, string>) =>
      validateWith({}, { params: integer(...Object.keys(read)) }, () => read)

    test('each layer of Express shows what was validated', async () => {
      const seen: unknown[] = []
      const inner = express.Router({ mergeParams: true })
      inner.param('item', (_req, _res, next, item: unknown) => {
        seen.push(item)
        next()
      })
      inner.use((req, _res, next) => {
        seen.push({ ...req.params })
        next()
      })
      inner.get('/items/:item', show)
      const app = express()
      app.use(front({ id: '7', item: '9' }, ofRoute({ id: '7', item: '9' })))
      app.use('/orders/:id', inner)

      const reply = await request(app).get('/orders/7/items/9').expect(200)
      expect(reply.body.params).toEqual({ id: 7, item: 9 })
      expect(seen).toEqual([{ id: 7 }, 9])
    })

    test('without mergeParams an inner handler sees its own parameters, validated', async () => {
      const inner = express.Router()
      inner.get('/items/:item', show)
      const app = express()
      app.use(front({ id: '7', item: '9' }, ofRoute({ id: '7', item: '9' })))
      app.use('/orders/:id', inner)
      const reply = await request(app).get('/orders/7/items/9').expect(200)
      expect(reply.body.params).toEqual({ item: 9 })
    })

    test('a parameter that Express reads differently from the rule is hidden from handlers', async () => {
      const app = express()
      app.use(front({ id: '7' }, ofRoute({ id: '7' })))
      app.get('/orders/:order/items/:id', show)
      const reply = await request(app).get('/orders/7/items/9').expect(200)
      expect(reply.body.params).toEqual({ order: '7' })
    })

    test('the parameters of the rule count, also where Express has some of its own by then', async () => {
      const app = express()
      app.use('/orders/:order', front({ order: '7', id: '9' }, ofRoute({ order: '7', id: '9' })), show)
      const reply = await request(app).get('/orders/7/items/9').expect(200)
      expect(reply.body.input.params).toEqual({ order: 7, id: 9 })
    })

    test('a parameter that was stripped does not come back', async () => {
      const both = { kind: 'x', id: '7' }
      const app = express()
      app.use(
        front(
          both,
          validateWith({ unknown: 'strip' }, { params: integer('id') }, () => both),
        ),
      )
      app.get('/:kind/:id', show)
      app.use((_req: Request, res: Response) => void res.status(404).end())
      const reply = await request(app).get('/x/7').expect(200)
      expect(reply.body.names).toEqual(['id'])
    })

    test('each of several rules judges its own parameters, and handlers see those of all', async () => {
      const app = express()
      const [wide, narrow] = [{ kind: '5' }, { id: '7' }]
      app.use(front({}, ofRoute(wide), ofRoute(narrow)))
      app.get('/:kind/:id', show)
      const reply = await request(app).get('/5/7').expect(200)
      expect(reply.body.params).toEqual({ kind: 5, id: 7 })
      expect(reply.body.input.params).toEqual({ kind: 5, id: 7 })
    })

    test('of two rules that give one name to two parts of the path, none leads a handler astray', async () => {
      const app = express()
      app.use(front({}, ofRoute({ id: '5' }), ofRoute({ id: '7' })))
      app.get('/:kind/:id', show)
      app.get('/wide/:id/:more', show)
      expect((await request(app).get('/5/7').expect(200)).body.params).toEqual({ kind: '5', id: 7 })
      expect((await request(app).get('/wide/5/7').expect(200)).body.params).toEqual({ id: 5, more: '7' })
      expect((await request(app).get('/wide/9/7').expect(200)).body.params).toEqual({ more: '7' })
    })

    test('a guard behind it judges the text that was sent, and the result stays in force', async () => {
      const app = express()
      app.use(front({ id: '7' }, ofRoute({ id: '7' })))
      const text = { type: 'object', properties: { id: { type: 'string', pattern: '^[0-9]$' } } }
      app.get('/orders/:id', validate({ params: text }), show)
      expect((await request(app).get('/orders/7').expect(200)).body.params).toEqual({ id: '7' })
    })

    test('the query is validated for all handlers, whatever parser the application has', async () => {
      const app = express()
      app.set('query parser', 'extended')
      app.use(validate({ query: { ...integer('a'), additionalProperties: true } }))
      app.use(express.urlencoded({ extended: true }))
      app.get('/', show)
      const reply = await request(app).get('/?a=1&b[c]=2').expect(200)
      expect(reply.body.query).toEqual({ a: 1, 'b[c]': '2' })
      const inner = express()
      inner.get('/', show)
      app.use('/inner', inner)
      expect((await request(app).get('/inner?a=1').expect(200)).body.query).toEqual({ a: 1 })
    })

    test('in front of the application it shows the same', async () => {
      const app = express()
      app.get('/orders/:id', show)
      const run = front({ id: '7' }, ofRoute({ id: '7' }), validate({ query: integer('a') }))
      const server = createServer((req, res) =>
        run(req, res, () => (app as never as typeof run)(req, res, () => undefined)),
      )
      const reply = await request(server).get('/orders/7?a=1').expect(200)
      expect(reply.body).toMatchObject({ params: { id: 7 }, query: { a: 1 } })
    })
  })

  test('a body that express.json() parsed before is validated, and the fact is a finding', async () => {
    const alone = validate({ body: integer('n') })
    const app = express()
    app.use(express.json())
    app.post('/', alone, show)
    await request(app).post('/').send({ n: 'x' }).expect(422)
    expect(alone.stage.findings?.()).toMatchObject([{ code: 'body-parsed-before' }])
  })

  test('an express.json() behind it does not replace what was validated', async () => {
    const app = express()
    app.use(validate({ body: { type: 'object', properties: { n: { type: 'integer', default: 5 } } } }))
    app.use(express.json())
    app.post('/', show)
    expect((await request(app).post('/').send({}).expect(200)).body.body).toEqual({ n: 5 })
  })

  test('a form that another parser read is no JSON: 415', async () => {
    const app = express()
    app.use(express.urlencoded({ extended: false }))
    app.post('/', validate({ body: { type: 'object', additionalProperties: true } }), show)
    await request(app).post('/').type('form').send('a=1').expect(415)
  })

  test('a body that somebody consumed is a mistake of the application: 500, and no hang', async () => {
    const app = express()
    app.use((req, _res, next) => {
      req.resume().on('end', next)
    })
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
    app.post('/', validate({ body: integer('n') }, { log }), show)
    await request(app).post('/').send({ n: 1 }).expect(500)
  })
})

test('on Connect and plain node:http the results are in the same places', async () => {
  type Shown = IncomingMessage & { query?: unknown; body?: unknown }
  const stage = validate({ query: integer('a'), body: integer('b') })
  const app = connect()
  app.use(stage as never)
  app.use(((req: Shown, res: { end: (text: string) => void }) =>
    res.end(JSON.stringify({ query: req.query, body: req.body }))) as never)
  const plain = createServer((req: Shown, res) =>
    stage(req, res, () => res.end(JSON.stringify({ query: req.query, body: req.body }))),
  )
  for (const server of [createServer(app), plain]) {
    const reply = await request(server).post('/?a=1').send({ b: 2 }).expect(200)
    expect(JSON.parse(reply.text)).toEqual({ query: { a: 1 }, body: { b: 2 } })
    await request(server).post('/?a=x').send({ b: 2 }).expect(422)
  }
})

test('no vector leaves a trace on Object.prototype', async () => {
  const names = () => Reflect.ownKeys(Object.prototype)
  const before = names()
  const app = express5()
  const open = { type: 'object', additionalProperties: true }
  app.post('/:id', validate({ params: open, query: open, headers: open, cookies: open, body: open }), show)
  for (const search of [
    '__proto__=1',
    '__proto__[x]=1',
    'constructor.prototype=1',
    'constructor[prototype][x]=1',
    'a[__proto__][x]=1',
  ]) {
    for (const path of ['/a', '/__proto__', '/constructor']) {
      await request(app).post(`${path}?${search}`).set('Cookie', '__proto__=1; constructor=1').send('{"a":1}')
    }
  }
  await request(app).post('/a?constructor=1&toString=2').type('json').send('{"constructor":1}').expect(200)
  expect(names()).toEqual(before)
})
