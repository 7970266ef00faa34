import { createServer } from 'node:http'
import request from 'supertest'
import { contextOf } from '../src/kernel/context.js'
import { testApi } from './support/api.js'

test('facts that a handler puts on record are masked like replies', async () => {
  const { api, events } = testApi({ auth: false, mask: { card: 'last4' } })
  const server = createServer(
    api.protect((req, res) => {
      contextOf(req)?.record('payment', { amount: 5, order: { card: '4111111111111234' } })
      res.end()
    }),
  )
  await request(server).get('/').expect(200)
  const event = JSON.stringify(events.find(({ kind }) => kind === 'payment'))
  expect(event).toContain('1234')
  expect(event).toContain('amount')
  expect(event).not.toContain('4111111111111234')
})
