import express from 'express'
import { createServer } from 'node:http'
import request from 'supertest'
import { defineHandler, type Handler } from '../../src/kernel/handler.js'
import { refuse } from '../../src/kernel/problem.js'
import { secureApi } from '../../src/secure-api.js'
import { serve } from '../../src/testing/index.js'
import { sendRaw } from '../support/raw.js'

function setUp(handler: Partial<Handler> = {}) {
  const bodies: unknown[] = []
  const middleware = defineHandler('endpoint', {
    methods: ['POST'],
    body: ['form', 'json'],
    maxBodyBytes: 64,
    answer: (_ctx, body) => {
      bodies.push(body)
      return { json: body }
    },
    ...handler,
  })
  return { ...serve(middleware), bodies, middleware }
}

test('reads a form or an object of JSON, and answers with JSON that nobody keeps', async () => {
  const { post, bodies } = setUp()
  const reply = await post('/').type('form').send('a=1&b=x+y%21').expect(200)
  expect(reply.headers).toMatchObject({
    'cache-control': 'no-store',
    'content-type': 'application/json; charset=utf-8',
  })
  expect(reply.body).toEqual({ a: '1', b: 'x y!' })
  await post('/')
    .send({ a: [1] })
    .expect(200, { a: [1] })
  expect(bodies.map((body) => Object.getPrototypeOf(body))).toEqual([null, null])
})

test('takes GET for HEAD too, and refuses every other method with the ones there are', async () => {
  const { get, head, post, bodies } = setUp({
    methods: ['GET'],
    answer: () => ({ json: { keys: [] }, headers: { 'Cache-Control': 'public, max-age=60' } }),
  })
  await get('/').expect(200, { keys: [] }).expect('Cache-Control', 'public, max-age=60')
  const reply = await head('/').expect(200).expect('Content-Length', '11')
  expect(reply.text).toBeUndefined()
  const refused = await post('/').send({}).expect(405).expect('Allow', 'GET, HEAD')
  expect(JSON.parse(refused.text)).toMatchObject({ code: 'method-not-allowed' })
  expect(bodies).toEqual([])
})

describe('refuses, before the handler has seen anything,', () => {
  const form = 'Content-Type: application/x-www-form-urlencoded\r\n'
  const json = 'Content-Type: application/json\r\n'
  test.each([
    ['a body of another type', 'Content-Type: text/plain\r\n', 'a=1', 415, 'unsupported-media-type'],
    ['a body of no type', '', 'a=1', 415, 'unsupported-media-type'],
    ['a body of two types', form + json, 'a=1', 415, 'unsupported-media-type'],
    [
      'another charset',
      'Content-Type: application/json; charset=utf-16\r\n',
      '{}',
      415,
      'unsupported-media-type',
    ],
    ['a compressed body', `${form}Content-Encoding: gzip\r\n`, 'a=1', 415, 'unsupported-media-type'],
    ['a long body', form, 'a'.repeat(65), 413, 'body-too-large'],
    ['a parameter twice', form, 'a=1&a=1', 400, 'duplicate-parameter'],
    ['broken percent-encoding', form, 'a=%zz', 400, 'malformed-parameter'],
    ['bytes that are not encoded', form, 'a=\xe9', 400, 'malformed-parameter'],
    ['a prototype', form, '__proto__=1', 400, 'malformed-parameter'],
    ['broken JSON', json, '{', 400, 'malformed-body'],
    ['JSON with a name twice', json, '{"a":1,"a":2}', 400, 'malformed-body'],
    ['JSON with a prototype', json, '{"__proto__":{}}', 400, 'malformed-body'],
    ['JSON that is no object', json, '["a"]', 400, 'malformed-body'],
    ['an empty body of JSON', json, '', 400, 'malformed-body'],
  ])('%s', async (_what, fields, body, status, code) => {
    const { server, bodies } = setUp()
    const length = `Content-Length: ${body.length}\r\n`
    const reply = await sendRaw(server, `POST / HTTP/1.1\r\nHost: a\r\n${fields}${length}\r\n${body}`)
    expect(reply.status).toBe(status)
    expect(JSON.parse(reply.body)).toMatchObject({ code })
    expect(reply.head.toLowerCase()).toContain('cache-control: no-store')
    expect(bodies).toEqual([])
  })

  test('a body that grows beyond the ceiling without having said so', async () => {
    const { server, bodies } = setUp()
    const chunk = `40\r\n${'a'.repeat(64)}\r\n`
    const reply = await sendRaw(
      server,
      `POST / HTTP/1.1\r\nHost: a\r\n${form}Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
    )
    expect(reply.status).toBe(413)
    expect(bodies).toEqual([])
  })
})

test('what a handler refuses, and what it throws, goes through the one writer', async () => {
  const refusing = setUp({
    answer: () => Promise.resolve(refuse('forbidden')),
    refused: (problem) => ({ ...problem, members: { error: 'invalid_request' } }),
  })
  const refused = await refusing.post('/').send({}).expect(403)
  expect(refused.body).toMatchObject({ code: 'forbidden', error: 'invalid_request' })
  const wrong = await refusing.post('/').type('text').send('x').expect(415)
  expect(wrong.body).toMatchObject({ error: 'invalid_request' })

  const printed = jest.spyOn(console, 'error').mockImplementation(() => undefined)
  const broken = setUp({ answer: () => Promise.reject(new Error('a secret')) })
  const reply = await broken.post('/').send({}).expect(500)
  expect(reply.text).not.toContain('secret')
  expect(printed).toHaveBeenCalledTimes(1)
  printed.mockRestore()
})

test('takes what a parser in front of it made of the body, and is not shaped by masks', async () => {
  const { middleware, bodies } = setUp()
  const api = secureApi({
    auth: false,
    audit: false,
    mask: { '**.access_token': 'redact' },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  })
  const app = express()
  app.use(api)
  app.post('/parsed', express.urlencoded({ extended: true }), middleware)
  app.post('/', middleware)
  const server = createServer(app)
  await request(server).post('/').send({ access_token: 'x' }).expect(200, { access_token: 'x' })
  await request(server).post('/').type('form').send('access_token=x').expect(200, { access_token: 'x' })
  await request(server)
    .post('/parsed')
    .type('form')
    .send('a[b]=x')
    .expect(200, { a: { b: 'x' } })
  expect(bodies).toHaveLength(3)
  await api.close()
})
