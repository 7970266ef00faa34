import express from 'express'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { MessageChannel } from 'node:worker_threads'
import request from 'supertest'
import { contextOf } from '../../src/kernel/context.js'
import { forward } from '../../src/kernel/respond.js'
import { testApi } from '../support/api.js'
import { scratch } from './support/trail.js'

type Errors = (error: unknown, req: unknown, res: ServerResponse, next: (error?: unknown) => void) => void

/** What is on record of exchanges, besides that nobody decided. */
const told = (events: readonly Record<string, unknown>[]) =>
  events
    .filter(({ kind }) => kind !== 'undecided')
    .map(({ kind, outcome, code }) =>
      [kind, outcome, code].filter((one) => typeof one === 'string').join(' '),
    )

const kept: Record<string, unknown>[] = []
const keep = (event: object): void => void kept.push({ ...event })
const logger = { info: keep, warn: keep, error: keep }

const denied = { routes: { 'GET /x': { rbac: { role: 'admin' } } } }

describe('how an exchange ended is on record once,', () => {
  test('where a refusal comes by a second time, as the error that it was forwarded as', async () => {
    const { api, events, as } = testApi({ ...denied, respond: forward })
    const app = express()
    app.use(api as never)
    app.use(api.errors() as never)
    await request(app).get('/x').set('Authorization', as()).expect(403)
    expect(told(events)).toEqual(['decision refused forbidden'])
  })

  test('and what breaks on the way of a refusal to its client is one more event', async () => {
    const { api, events, as } = testApi({ ...denied, respond: forward })
    const app = express()
    app.use(api as never)
    app.use(((_error, _req, _res, _next) => {
      throw new Error('the page of errors')
    }) as Errors as never)
    app.use(api.errors() as never)
    await request(app).get('/x').set('Authorization', as()).expect(500)
    expect(told(events)).toEqual(['decision refused forbidden', 'decision failed broken'])
  })

  test.each<[string, object, string[]]>([
    ['a report', { ...denied, mode: { rbac: 'report' } }, ['decision reported forbidden']],
    ['what a handler calls a decision', {}, ['decision approved']],
  ])(
    'where %s follows a refusal that came ahead of the trail, and was waived',
    async (_what, more, decisions) => {
      const { api: outer } = testApi({ auth: false, audit: false, respond: forward, rateLimit: { limit: 1 } })
      const { api: inner, events, as } = testApi({ ...more, rateLimit: false })
      const app = express()
      app.use(outer as never)
      app.use(((_error, _req, _res, next) => next()) as Errors as never)
      app.use(inner as never)
      app.get('/x', (req, res) => {
        if (decisions.includes('decision approved'))
          contextOf(req)!.record('decision', { outcome: 'approved' })
        res.end()
      })
      await request(app).get('/x').set('Authorization', as()).expect(200)
      events.length = 0
      await request(app).get('/x').set('Authorization', as()).expect(200)
      expect(told(events)).toEqual([...decisions, 'request refused rate-limited'])
    },
  )

  test('where the same refusal came ahead of the trail, whose own is told before its reply', async () => {
    const { api: outer } = testApi({ auth: false, audit: false, respond: forward, rateLimit: { limit: 1 } })
    const { api: inner } = testApi({ auth: false, rateLimit: { limit: 1 }, audit: { logger } })
    const app = express()
    app.use(outer as never)
    app.use(((_error, _req, _res, next) => next()) as Errors as never)
    app.use(inner as never)
    app.use((_req, res) => void res.end())
    await request(app).get('/x').expect(200)
    kept.length = 0
    await request(app).get('/x').expect(429)
    expect(told(kept)).toEqual(['decision refused rate-limited'])
  })
})

const files = scratch()

test('what handlers put on record is in the file by the end of their turn, and how the exchange ended, too', async () => {
  const path = files.path('turn.jsonl')
  const { api } = testApi({ auth: false, audit: { file: path } })
  const { port1, port2 } = new MessageChannel()
  // The next thing that the loop does after this turn.
  const nextTurn = new Promise<string>((resolve) => {
    port1.once('message', () => resolve(readFileSync(path, 'utf8')))
  })
  const server = createServer(
    api.protect((req: IncomingMessage, res: ServerResponse) => {
      contextOf(req)!.record('refund', { amount: 5 })
      res.end()
      port2.postMessage('go')
    }),
  )
  await request(server).get('/')
  const text = await nextTurn
  port1.close()
  await api.close()
  expect(text).toContain('"kind":"refund"')
  expect(text).toContain('"kind":"request"')
})
