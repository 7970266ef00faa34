import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { gzipSync } from 'node:zlib'
import { body } from '../../src/data/body.js'
import { validate } from '../../src/data/validate.js'
import { serve, type Served } from '../../src/testing/index.js'

const loose = {
  type: ['object', 'array'],
  additionalProperties: { type: 'integer' },
  items: { type: 'integer' },
}

describe('whatever is sent is answered, and never by 500', () => {
  let served: Served
  let base: string
  beforeAll(async () => {
    const query = { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'array' } } }
    const cookies = { type: 'object', properties: { c: { type: 'string' } } }
    served = serve([body({ maxBytes: 200 }), validate({ query, cookies }), validate({ body: loose })])
    served.server.listen(0, '127.0.0.1')
    await once(served.server, 'listening')
    base = `http://127.0.0.1:${(served.server.address() as AddressInfo).port}`
  })
  afterAll(() => served.server.close())

  const jsonish = fc
    .array(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        '"a"',
        '"b"',
        '"__proto__"',
        ':',
        ',',
        '1',
        '1e999',
        '"\\ud800"',
        ' ',
        '\u0000',
      ),
    )
    .map((parts) => parts.join(''))
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((raw) => Buffer.from(raw)),
    fc.json().map((text) => Buffer.from(text)),
    jsonish.map((text) => Buffer.from(text)),
  )
  const type = fc.constantFrom(
    'application/json',
    'application/json;charset=utf-8',
    'text/plain',
    'a/b+json',
    'x',
    '',
  )

  test('as a body', async () => {
    await fc.assert(
      fc.asyncProperty(
        bytes,
        type,
        fc.constantFrom('plain', 'gzip', 'broken gzip'),
        async (text, contentType, coding) => {
          const before = served.handled()
          const reply = await fetch(base, {
            method: 'POST',
            headers: {
              'Content-Type': contentType,
              ...(coding !== 'plain' && { 'Content-Encoding': 'gzip' }),
            },
            body: coding === 'gzip' ? gzipSync(text) : text,
          })
          await reply.arrayBuffer()
          expect([200, 400, 413, 415, 422]).toContain(reply.status)
          expect(served.handled() - before).toBe(reply.status === 200 ? 1 : 0)
        },
      ),
      { numRuns: 400 },
    )
  })

  test('as a query and cookies', async () => {
    const text = fc
      .array(
        fc.constantFrom(
          'a',
          'b',
          'c',
          '=',
          '&',
          ';',
          '%',
          '%41',
          '%ff',
          '1',
          '[',
          ']',
          '__proto__',
          '"',
          ' ',
        ),
      )
      .map((parts) => parts.join('').trim())
    await fc.assert(
      fc.asyncProperty(text, text, async (query, cookie) => {
        const reply = await fetch(`${base}/?${query.replaceAll(' ', '+')}`, {
          method: 'POST',
          headers: { Cookie: cookie, 'Content-Type': 'application/json' },
          body: '{"a":1}',
        })
        await reply.arrayBuffer()
        expect([200, 400, 422]).toContain(reply.status)
      }),
      { numRuns: 400 },
    )
  })
})

test('what validate lets through is what JSON.parse makes of the text, and valid', async () => {
  const { post } = serve(validate({ body: loose }), {
    handler: (req, res) => res.end(JSON.stringify((req as { body?: unknown }).body)),
  })
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string(), fc.oneof(fc.integer(), fc.string())), async (value) => {
      const text = JSON.stringify(value)
      fc.pre(!text.includes('proto'))
      const reply = await post('/').set('Content-Type', 'application/json').send(text)
      const fits = Object.values(value).every((member) => typeof member === 'number')
      expect(reply.status).toBe(fits ? 200 : 422)
      if (fits) expect(JSON.parse(reply.text)).toEqual(JSON.parse(text))
    }),
    { numRuns: 200 },
  )
})
