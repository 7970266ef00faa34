import express from 'express'
import request from 'supertest'
import { testApi } from '../support/api.js'
import { POISONS } from './support/pollution.js'

const order = { type: 'object', properties: { item: { type: 'string' } } }
const { api, as } = testApi({
  rbac: { roles: { clerk: ['orders:create'] } },
  mask: { '**.password': 'redact' },
  routes: { 'POST /orders': { validate: { body: order } }, 'GET /health': { public: true } },
})
const app = express()
app.use(api)
app.get('/boom', () => {
  throw new Error('boom')
})
app.use((_req, res) => void res.json({ ok: true, password: 'x' }))
app.use(api.errors())

// Nobody who takes it for writable can work any more, in this file alone: each has a realm of its own.
beforeAll(() => void Object.freeze(Object.prototype))

const post = (text: string) =>
  request(app)
    .post('/orders')
    .set({ Authorization: as(), 'Content-Type': 'application/json' })
    .serialize((given) => given as string)
    .send(text)

test('with Object.prototype frozen, everything goes on', async () => {
  expect(Object.isFrozen(Object.prototype)).toBe(true)
  const reply = await post('{"item":"x"}').expect(200)
  expect(JSON.parse(reply.text)).toEqual({ ok: true, password: '[redacted]' })
  await request(app).get('/health').expect(200)
  await request(app).get('/other').expect(401)
  await post('{"item":1}').expect(422)
  await post('{').expect(400)
  await request(app).get('/boom').set('Authorization', as()).expect(500)
})

test.each(POISONS)('with Object.prototype frozen, %s is refused all the same', async (poison) => {
  await post(poison).expect(400)
  await post(`{"item":"x","a":${poison}}`).expect(400)
})
