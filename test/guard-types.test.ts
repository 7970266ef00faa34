import express from 'express'
import { z } from 'zod'
import { secureApi } from '../src/index.js'

test('a guard types what its handler reads', () => {
  const api = secureApi({ auth: false, audit: false })
  const app = express()
  app.post(
    '/orders/:id',
    api.guard({
      validate: {
        body: z.object({ item: z.string(), count: z.number() }),
        params: z.object({ id: z.coerce.number() }),
        query: z.object({ dry: z.coerce.boolean() }),
      },
    }),
    (req, res) => {
      const total: number = req.body.count + req.params.id
      const dry: boolean = req.query.dry
      // @ts-expect-error -- the schema has no such member
      const nothing: unknown = req.body.nothing
      res.json({ total, dry, nothing, item: req.body.item.toUpperCase() })
    },
  )
  app.post('/raw', api.guard({ validate: { body: { type: 'object' } } }), (req, res) => {
    // @ts-expect-error -- a JSON Schema has no type here
    res.json(req.body.item)
  })
  app.get('/plain/:id', api.guard({ rateLimit: { limit: 5 } }), (req, res) => {
    const id: string = req.params.id
    res.json(id)
  })
  app.get('/secret', api.guard({ sensitive: true }), (_req, res) => res.json({}))
  // @ts-expect-error -- what was said cannot be taken back
  expect(() => api.guard({ sensitive: false })).toThrow('guard.sensitive must be true or absent, got false')
  expect(api.check(app).map(({ code }) => code)).toContain('auth-off')
})
