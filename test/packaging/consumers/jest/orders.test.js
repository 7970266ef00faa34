const express = require('express')
const request = require('supertest')
const { bearer, rateLimit, secureApi } = require('secure-api')
const { localIssuer, serve } = require('secure-api/testing')

describe.each(['ES256', 'EdDSA'])('an API that accepts %s', (algorithm) => {
  const issuer = localIssuer({ algorithm })
  const api = secureApi({
    auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
    fetch: issuer.fetch,
  })
  const app = express()
  app.use(api)
  app.get('/orders', (req, res) => res.json({ subject: req.security.principal.subject }))

  afterAll(() => api.close())

  test('lets a caller in', async () => {
    await api.ready()
    await request(app)
      .get('/orders')
      .set('Authorization', `Bearer ${issuer.mint()}`)
      .expect(200, { subject: 'user-1' })
  })

  test('keeps everybody else out', async () => {
    await request(app)
      .get('/orders')
      .expect(401)
      .expect('WWW-Authenticate', /^Bearer/)
    await request(app).get('/orders').set('Authorization', 'Bearer forged').expect(401)
  })
})

test('one protection is tested alone, on a clock of its own', async () => {
  const { get, clock, handled } = serve(rateLimit({ name: 'test', limit: 1, windowMs: 1_000 }))
  await get('/').expect(200)
  await get('/').expect(429)
  clock.advance(1_000)
  await get('/').expect(200)
  expect(handled()).toBe(2)
})
