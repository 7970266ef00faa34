import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import express from 'express'
import express4 from 'express4'
import request from 'supertest'
import { prepareForExpress, repairFromExpress } from '../../src/kernel/express-shape.js'

const apps = { 5: express, 4: express4 }

describe.each(['4', '5'] as const)('Express %s', (version) => {
  test('finds a request that was prepared for it as it would find any other', async () => {
    const seen = async (prepare: typeof prepareForExpress) => {
      const app = apps[version]()
      app.use('/shop', (req, res, next) => {
        res.locals.mounted = `${req.baseUrl} ${req.url} ${req.originalUrl}`
        next()
      })
      app.post('/shop/:id', apps[version].json(), ({ params, query, body, path }, res) => {
        res.status(201).json({ params, query, body: body as unknown, path, locals: res.locals })
      })
      const serve = (req: IncomingMessage, res: ServerResponse) => {
        prepare(req, res)
        app(req, res)
      }
      const { status, body, headers } = await request(serve).post('/shop/7?a=1').send({ b: 2 })
      return { status, body: body as unknown, etag: headers.etag }
    }

    const plain = await seen(() => undefined)
    expect(plain).toMatchObject({
      status: 201,
      body: { params: { id: '7' }, query: { a: '1' }, body: { b: 2 } },
    })
    expect(await seen(prepareForExpress)).toEqual(plain)
  })

  test('goes on with a request that was repaired', async () => {
    const app = apps[version]()
    app.use((req, res, next) => {
      repairFromExpress(req, res)
      next()
    })
    app.get('/:id', (req, res) => res.json({ id: req.params.id, url: req.url, same: res.req === req }))
    await request(app).get('/7?a=1').expect({ id: '7', url: '/7?a=1', same: true })
  })
})

describe('prepareForExpress', () => {
  test('keeps what somebody else has put there', () => {
    const req = Object.assign(new IncomingMessage(new Socket()), { body: 'read', originalUrl: '/before' })
    const res = Object.assign(new ServerResponse(req), { locals: { user: 1 } })
    res.statusCode = 418
    prepareForExpress(req, res)

    expect(req).toMatchObject({ body: 'read', originalUrl: '/before' })
    expect(res).toMatchObject({ locals: { user: 1 }, statusCode: 418 })
  })
})
