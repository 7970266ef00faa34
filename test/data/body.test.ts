import { once as onceEmitted } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { body, type BodyOptions } from '../../src/data/body.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import { once } from '../../src/lib/once.js'
import { fakeClock, serve, type ServeOptions } from '../../src/testing/index.js'
import { listen, sendRaw } from '../support/raw.js'

/** Answers with what the handler finds on `req.body`. */
const echo = (req: IncomingMessage, res: ServerResponse) => {
  const { body } = req as { body?: unknown }
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify(body === undefined ? { absent: true } : { body }))
}

const serving = (options?: BodyOptions, more: ServeOptions = {}) =>
  serve(options === undefined ? body() : body(options), { handler: echo, ...more })

const json = (text: string, type = 'application/json') => ({
  text: Buffer.from(text),
  type,
})

async function post(options: BodyOptions | undefined, { text, type }: ReturnType<typeof json>, headers = {}) {
  const served = serving(options)
  const reply = await served.post('/').set('Content-Type', type).set(headers).serialize(asIs).send(text)
  return { status: reply.status, ...parsed(reply.text), headers: reply.headers, handled: served.handled() }
}

const asIs = (value: unknown) => value as string
const parsed = (text: string) => JSON.parse(text) as { body?: unknown; code?: string; detail?: string }

describe('a JSON body', () => {
  test.each([
    ['{"a":[1,{"b":null}]}', 'application/json'],
    ['[]', 'application/json; charset=utf-8'],
    ['{"a":"\u00e9\u{1F600}"}', 'Application/JSON;Charset="UTF-8"'],
    [' \r\n\t{"a":1} \n', 'application/json;charset=utf8;profile="a;b"'],
    ['{"a":1}', 'application/vnd.api+json; ext=bulk'],
    ['{"a":1}', 'application/merge-patch+JSON'],
    ['{"a":1}', 'application/json ;'],
  ])('%s of type %s is parsed onto req.body', async (text, type) => {
    expect(await post(undefined, json(text, type))).toMatchObject({ status: 200, body: JSON.parse(text) })
  })

  test.each([undefined, {}])('has limits by default (%p)', async (options) => {
    const fits = `"${'a'.repeat(102_400 - 4)}"`
    expect(await post(options, json(`[${fits}]`))).toMatchObject({ status: 200 })
    expect(await post(options, json(`[${fits} ]`))).toMatchObject({ status: 413, handled: 0 })
    expect(await post(options, json('['.repeat(64) + ']'.repeat(64)))).toMatchObject({ status: 200 })
    expect(await post(options, json('['.repeat(65) + ']'.repeat(65)))).toMatchObject({ status: 400 })
  })

  test.each([
    ['{"a":1', 'syntax', undefined],
    ['{a:1}', 'syntax', undefined],
    ['[1,]', 'syntax', undefined],
    ['{"a":1}}', 'syntax', undefined],
    ['[1}', 'syntax', undefined],
    ['{"a":"\\x"}', 'syntax', undefined],
    ['{"a":"\u0001"}', 'syntax', undefined],
    ['{"a":NaN}', 'syntax', undefined],
    [' ', 'syntax', { scalars: true }],
    ['[[[]]]', 'too-deep', { maxDepth: 2 }],
    ['{"a":1,"b":2}', 'too-many-keys', { maxKeys: 1 }],
    ['[1,2]', 'too-many-items', { maxArrayItems: 1 }],
    ['{"a":1,"a":2}', 'duplicate-key', undefined],
    ['{"a":1,"\\u0061":2}', 'duplicate-key', undefined],
    ['{"__proto__":{"a":1}}', 'proto-key', undefined],
    ['{"__pr\\u006fto__":{"a":1}}', 'proto-key', undefined],
    ['{"constructor":{"prototype":{"a":1}}}', 'constructor-prototype', undefined],
    ['["\\ud800"]', 'lone-surrogate', undefined],
    ['[1e400]', 'number-out-of-range', undefined],
    ['null', 'top-level-scalar', undefined],
    ['"text"', 'top-level-scalar', undefined],
    ['\uFEFF{}', 'byte-order-mark', undefined],
  ] as const)('%s is refused 400 by the rule %s', async (text, rule, options) => {
    const rules: unknown[] = []
    const { post: send, handled } = serving(options, { trace: true, handler: echo, respond: keepRule(rules) })

    // What is large is read in several turns of the event loop.
    for (const sent of [text, text + ' '.repeat(20_000)]) {
      const reply = await send('/').set('Content-Type', 'application/json').send(sent).expect(400)
      expect(parsed(reply.text).code).toBe('malformed-body')
    }

    expect(rules).toEqual([rule, rule])
    expect(handled()).toBe(0)
  })

  test('that is large is parsed in a turn of its own, judged in another and handled in a third', async () => {
    const sent = { items: Array.from({ length: 5_000 }, (_, i) => i) }
    const events: string[] = []
    const parse = jest.spyOn(JSON, 'parse').mockImplementationOnce((text: string) => {
      parse.mockRestore()
      events.push('parsed')
      setImmediate(() => {
        events.push('turn')
        setImmediate(() => events.push('turn'))
      })
      return JSON.parse(text) as unknown
    })
    const handler = (req: IncomingMessage, res: ServerResponse) => {
      events.push('handled')
      echo(req, res)
    }

    const reply = await serve(body(), { handler }).post('/').send(sent).expect(200)

    expect(reply.body).toEqual({ body: sent })
    expect(events).toEqual(['parsed', 'turn', 'turn', 'handled'])
  })

  test('that is large does not wait for others for ever, however many there are', async () => {
    const { post: send, handled } = serving()
    const large = (i: number) => ({ i, items: Array.from({ length: 5_000 }, () => 'x') })
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) => send('/').send(i % 2 === 0 ? large(i) : { i })),
    )
    expect(replies.map(({ body }) => (body as { body: { i: number } }).body.i)).toEqual(
      replies.map((_, i) => i),
    )
    expect(handled()).toBe(20)
  })

  test('of bytes that are not UTF-8 is refused 400', async () => {
    for (const bytes of ['ff', 'c3', 'c080', 'eda080', 'f4908080', 'fffe7b007d00']) {
      const text = Buffer.concat([Buffer.from('["'), Buffer.from(bytes, 'hex'), Buffer.from('"]')])
      expect(await post(undefined, { text, type: 'application/json' })).toMatchObject({
        status: 400,
        code: 'malformed-body',
        handled: 0,
      })
    }
  })

  test('may be a scalar where that is allowed', async () => {
    for (const text of ['null', '0', 'false', '"a"', '""']) {
      const reply = await post({ scalars: true }, json(text))
      expect(reply).toMatchObject({ status: 200, body: JSON.parse(text) })
    }
  })

  test('that is empty is no body', async () => {
    const { server } = serving()
    await listen(server)
    for (const framing of ['Content-Length: 0\r\n\r\n', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n']) {
      const reply = await sendRaw(
        server,
        `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n${framing}`,
      )
      expect(reply.body).toContain('"absent":true')
    }
    server.close()
  })

  test('never echoes what it refuses', async () => {
    const reply = await post(undefined, json('{"hunter2": hunter2}'))
    expect(JSON.stringify(reply)).not.toContain('hunter2')
  })
})

const keepRule =
  (rules: unknown[]): NonNullable<ServeOptions['respond']> =>
  (ctx, problem) => {
    rules.push(problem.rule)
    ctx.res.statusCode = problem.status
    ctx.res.end(JSON.stringify({ code: problem.code }))
  }

describe('character encodings', () => {
  test.each(['utf-7', 'utf-16', 'utf-16le', 'iso-8859-1', 'us-ascii', 'x', ''])(
    'charset=%s is refused 415 by default',
    async (charset) => {
      const reply = await post(undefined, json('{}', `application/json; charset="${charset}"`))
      expect(reply).toMatchObject({ status: 415, code: 'unsupported-media-type', handled: 0 })
    },
  )

  test('one more can be allowed, and is decoded strictly', async () => {
    const options = { charsets: ['utf-8', 'utf-16le'] }
    const type = 'application/json; charset=utf-16le'
    const bytes = (text: string) => ({ text: Buffer.from(text, 'utf16le'), type })
    expect(await post(options, bytes('["\u00e9"]'))).toMatchObject({ status: 200, body: ['\u00e9'] })
    expect(await post(options, bytes('["\ud800"]'))).toMatchObject({ status: 400 })
    expect(await post(options, bytes('\ufeff[]'))).toMatchObject({ status: 400 })
  })
})

describe('compression', () => {
  const codings = [
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['GZIP', gzipSync],
  ] as const

  test.each(codings)('%s is undone', async (coding, compress) => {
    const reply = await post(
      undefined,
      { text: compress(Buffer.from('{"a":1}')), type: 'application/json' },
      { 'Content-Encoding': coding },
    )
    expect(reply).toMatchObject({ status: 200, body: { a: 1 } })
  })

  test.each(codings)('a bomb in %s is refused 413 within the limit of memory', async (coding, compress) => {
    const bomb = compress(Buffer.alloc(20_000_000, ' '))
    expect(bomb.length).toBeLessThan(102_400)
    const before = process.memoryUsage().arrayBuffers
    const reply = await post(
      undefined,
      { text: bomb, type: 'application/json' },
      { 'Content-Encoding': coding },
    )
    expect(reply).toMatchObject({ status: 413, code: 'body-too-large', handled: 0 })
    expect(reply.headers.connection).toBe('close')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5_000_000)
  })

  test.each(codings)(
    '%s that is cut short, or goes on behind its end, is refused 400',
    async (coding, compress) => {
      const whole = compress(Buffer.from('{"a":1}'))
      for (const text of [
        whole.subarray(0, -4),
        Buffer.concat([whole, Buffer.from('{"b":2}')]),
        Buffer.concat([whole, Buffer.alloc(90_000, '{"b":2}')]),
        Buffer.from('{"a":1}'),
      ]) {
        const reply = await post(
          undefined,
          { text, type: 'application/json' },
          { 'Content-Encoding': coding },
        )
        expect(reply).toMatchObject({ status: 400, code: 'malformed-body', handled: 0 })
      }
    },
  )

  test.each(['gzip, gzip', 'gzip, identity', 'zstd', 'compress', 'toString', 'x'])(
    '%s is refused 415, and the reply says what would do',
    async (coding) => {
      const reply = await post(undefined, json('{}'), { 'Content-Encoding': coding })
      expect(reply).toMatchObject({ status: 415, code: 'unsupported-media-type', handled: 0 })
      expect(reply.headers).toMatchObject({ 'accept-encoding': 'gzip, deflate, br', connection: 'close' })
    },
  )

  test('identity is no compression', async () => {
    expect(await post(undefined, json('[]'), { 'Content-Encoding': 'identity' })).toMatchObject({ body: [] })
  })
})

/** A fake clock that knows how many of its timers were started, and how many still run. */
function countingClock() {
  const clock = fakeClock()
  let started = 0
  let running = 0
  return {
    ...clock,
    started: () => started,
    running: () => running,
    after(ms: number, callback: () => void) {
      started++
      running++
      const cancel = clock.after(ms, callback)
      return once(() => {
        running--
        cancel()
      })
    },
  }
}

/** Speaks HTTP by hand on one connection; `closed` resolves with all that came back. */
async function wire(options: BodyOptions | undefined, more: ServeOptions = {}) {
  const served = serving(options, more)
  await listen(served.server)
  const socket = connect((served.server.address() as AddressInfo).port, '127.0.0.1')
  let received = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk))
  socket.on('error', () => undefined)
  const closed = onceEmitted(socket, 'close').then(() => {
    served.server.close()
    return received
  })
  const head = (fields: string) => socket.write(`POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`)
  const chunk = (text: string) => socket.write(`${text.length.toString(16)}\r\n${text}\r\n`, 'latin1')
  return { ...served, socket, head, chunk, closed, received: () => received }
}

const reading = (server: { once: unknown }) =>
  new Promise<IncomingMessage>((resolve) => (server as NodeJS.EventEmitter).once('request', resolve))

describe('on the wire', () => {
  test('a declared length over the limit is refused before a byte of the body is sent', async () => {
    const { head, closed, handled } = await wire({ maxBytes: 10 })
    head('Content-Type: application/json\r\nContent-Length: 11')
    expect(await closed).toMatch(/^HTTP\/1.1 413 [\s\S]*connection: close/i)
    expect(handled()).toBe(0)
  })

  test('a body without a declared length is refused as soon as it is over the limit', async () => {
    const { head, chunk, closed, handled } = await wire({ maxBytes: 10 })
    head('Content-Type: application/json\r\nTransfer-Encoding: chunked')
    chunk('[1,2,3,4,5,6')
    expect(await closed).toMatch(/^HTTP\/1.1 413 [\s\S]*connection: close/i)
    expect(handled()).toBe(0)
  })

  test('a body that arrives in pieces is one body', async () => {
    const { head, chunk, closed, socket } = await wire({ maxBytes: 20 })
    head('Content-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked')
    for (const piece of '{"a":"\u00c3\u00a9"}') chunk(piece)
    socket.write('0\r\n\r\n', 'latin1')
    expect(await closed).toContain('200 OK')
  })

  test('a body that takes too long is refused 408, and its timer ends with it', async () => {
    const { head, chunk, closed, handled, clock, server } = await wire({ timeoutMs: 5_000 })
    const request = reading(server)
    head('Content-Type: application/json\r\nTransfer-Encoding: chunked')
    chunk('[1')
    await request
    await new Promise(setImmediate)
    clock.advance(4_999)
    clock.advance(1)
    const reply = await closed
    expect(reply).toMatch(/^HTTP\/1.1 408 [\s\S]*connection: close/i)
    expect(reply).toContain('body-timeout')
    expect(handled()).toBe(0)
  })

  test('a client that goes away leaves no timer and no listener behind, and reaches no handler', async () => {
    const clock = countingClock()
    const { head, chunk, closed, handled, server, socket } = await wire(undefined, { clock })
    const request = reading(server)
    head('Content-Type: application/json\r\nContent-Length: 100')
    chunk('[1')
    const req = await request
    const gone = new Promise((resolve) => req.once('close', resolve))
    socket.destroy()
    await gone
    await closed
    await new Promise(setImmediate)
    expect(handled()).toBe(0)
    expect(clock.running()).toBe(0)
    expect(req.listenerCount('data') + req.listenerCount('end')).toBe(0)
    expect(contextOf(req)?.problem).toBeUndefined()
  })

  const bodies: [string, number][] = [
    ['[1]', 200],
    ['[', 400],
    ['[1,2,3,4,5,6]', 413],
  ]
  const headOf = (text: string) =>
    `Content-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${text}`
  const last = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`

  test.each(bodies)(
    'a body that is waited for, such as %s (%i), leaves no timer behind',
    async (text, status) => {
      const clock = countingClock()
      const { head, closed, server, socket } = await wire({ maxBytes: 10 }, { clock })
      const request = reading(server)
      head(headOf('').trimEnd())
      await request
      await new Promise(setImmediate)
      expect(clock.running()).toBe(1)
      socket.write(last(text))
      expect(await closed).toContain(`HTTP/1.1 ${status} `)
      expect(clock.running()).toBe(0)
    },
  )

  test.each(bodies)(
    'a body that comes with its head, such as %s (%i), needs no timer',
    async (text, status) => {
      const clock = countingClock()
      const { closed, socket } = await wire({ maxBytes: 10 }, { clock })
      socket.write(`POST / HTTP/1.1\r\nHost: a\r\n${headOf(last(text))}`)
      expect(await closed).toContain(`HTTP/1.1 ${status} `)
      expect(clock.started()).toBe(0)
    },
  )

  test.each([
    ['fails', (req: IncomingMessage) => req.emit('error', new Error('of the connection'))],
    ['closes before its end', (req: IncomingMessage) => req.emit('close')],
  ])('a body that %s in the turn of its head is refused, and ends no process', async (_how, end) => {
    const { head, closed, handled, server } = await wire(undefined)
    ;(server as unknown as NodeJS.EventEmitter).once('request', (req: IncomingMessage) =>
      process.nextTick(() => end(req)),
    )
    head(headOf(last('[1]')))
    expect(await closed).toContain('HTTP/1.1 400 ')
    expect(handled()).toBe(0)
  })

  test('nothing more is read of a body that was refused', async () => {
    const { head, chunk, closed, server } = await wire({ maxBytes: 10 })
    const request = reading(server)
    head('Content-Type: application/json\r\nTransfer-Encoding: chunked')
    chunk('[1,2,3,4,5,6')
    const req = await request
    await closed
    expect(req.isPaused()).toBe(true)
  })

  test('the rest of a body that somebody began to read is not taken for a body', async () => {
    const taker = defineStage('taker', () => ({
      enter: ({ req }) => new Promise<void>((resolve) => req.once('data', () => resolve())),
    }))
    const { server } = serve([taker(), body()], { handler: echo })
    await listen(server)
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const answered = new Promise<string>((resolve) => socket.setEncoding('latin1').once('data', resolve))
    const taken = reading(server)
    socket.write(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n',
    )
    await taken
    socket.write('2\r\n[]\r\n0\r\n\r\n')
    expect(await answered).toContain('"absent":true')
    socket.destroy()
    server.close()
  })

  test('a length that does not fit reaches no handler', async () => {
    const short = await wire(undefined)
    short.head('Content-Type: application/json\r\nContent-Length: 3')
    short.socket.end('[]')
    await short.closed
    expect(short.handled()).toBe(0)

    const long = await wire(undefined)
    long.head('Content-Type: application/json\r\nContent-Length: 2')
    long.socket.end('[]GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(await long.closed).toMatch(/{"body":\[\]}[\s\S]*{"absent":true}$/)
    expect(long.handled()).toBe(2)
  })

  test('two lengths, or a length beside chunks, never get this far', async () => {
    for (const fields of [
      'Content-Length: 2\r\nContent-Length: 3',
      'Content-Length: 2\r\nTransfer-Encoding: chunked',
    ]) {
      const { head, socket, closed, handled } = await wire(undefined)
      head(`Content-Type: application/json\r\n${fields}`)
      socket.end('[]')
      expect(await closed).toContain('400')
      expect(handled()).toBe(0)
    }
  })

  test('two media types are refused 415', async () => {
    const { head, closed, handled } = await wire(undefined)
    head('Content-Type: text/plain\r\nContent-Type: application/json\r\nContent-Length: 2')
    expect(await closed).toContain('415')
    expect(handled()).toBe(0)
  })
})

/** Collects the stream, as an application with a parser of its own would. */
const collect = (req: IncomingMessage, res: ServerResponse) => {
  let bytes = 0
  req.on('data', (chunk: Buffer) => (bytes += chunk.length))
  req.on('end', () => res.end(`read ${bytes}`))
}

describe('another body', () => {
  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
    'application/jsonp',
    'application/x-ndjson',
    'application/json-seq',
    'text/plain; application/json',
    'application/json, text/plain',
    'application/json; charset',
    'application/json; charset=utf-8; charset=utf-8',
    'application/json/x',
    'not a type',
  ])('of type %s is left unread', async (type) => {
    const { post } = serving({ maxBytes: 2 }, { handler: collect })
    const reply = await post('/').set('Content-Type', type).serialize(asIs).send('[1,2,3]').expect(200)
    expect(reply.text).toBe('read 7')
  })

  test('without a type is left unread', async () => {
    const { head, socket, closed } = await wire(undefined, { handler: collect })
    head('Content-Length: 2\r\nConnection: close')
    socket.write('[]')
    expect(await closed).toContain('read 2')
  })

  test('over the ceiling is refused 413 before it starts, if it says so', async () => {
    const { head, closed, handled } = await wire({ maxUnreadBytes: 10 }, { handler: collect })
    head('Content-Type: text/plain\r\nContent-Length: 11')
    expect(await closed).toMatch(/^HTTP\/1.1 413 /)
    expect(handled()).toBe(0)
  })

  test('is counted as the application reads it, up to the ceiling exactly', async () => {
    const { head, chunk, socket, closed } = await wire({ maxUnreadBytes: 10 }, { handler: collect })
    head('Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close')
    chunk('12345')
    chunk('67890')
    socket.write('0\r\n\r\n')
    expect(await closed).toContain('read 10')
  })

  test('over the ceiling is refused 413 in the place of the reply, and the handler gets no more', async () => {
    let seen = 0
    let late: (error: unknown) => void = () => undefined
    const failed = new Promise((resolve) => (late = resolve))
    const { head, chunk, closed } = await wire(
      { maxUnreadBytes: 10 },
      {
        handler: (req, res) => {
          req.on('data', (data: Buffer) => (seen += data.length))
          req.on('error', (error) => {
            res.writeHead(200)
            res.end('late')
            late(error)
          })
        },
      },
    )
    head('Content-Type: text/plain\r\nTransfer-Encoding: chunked')
    chunk('1234567890')
    chunk('1')
    const reply = await closed
    expect(reply).toMatch(/^HTTP\/1.1 413 [\s\S]*connection: close/i)
    expect(reply).toContain('body-too-large')
    expect(reply).not.toContain('late')
    expect(seen).toBe(10)
    expect(await failed).toBeInstanceOf(Error)
  })

  test('over the ceiling cuts a reply that has begun', async () => {
    const { head, chunk, closed } = await wire(
      { maxUnreadBytes: 10 },
      {
        handler: (req, res) => {
          req.on('data', () => res.write('begun '))
          req.on('error', () => undefined)
        },
      },
    )
    head('Content-Type: text/plain\r\nTransfer-Encoding: chunked')
    chunk('1234567890')
    chunk('1')
    const reply = await closed
    expect(reply).toContain('200 OK')
    expect(reply).not.toMatch(/\r\n0\r\n\r\n$/)
  })

  test('over the ceiling ends the connection of a reply that is complete', async () => {
    const { head, chunk, closed } = await wire(
      { maxUnreadBytes: 10 },
      {
        handler: (req, res) => {
          req.on('error', () => undefined)
          req.on('data', () => res.end('done'))
        },
      },
    )
    head('Content-Type: text/plain\r\nTransfer-Encoding: chunked')
    chunk('1')
    chunk('1234567890')
    expect(await closed).toContain('done')
  })

  test('over the ceiling is answered even where refusals are handed on', async () => {
    const { head, chunk, closed } = await wire(
      { maxUnreadBytes: 1 },
      { handler: collect, respond: (_ctx, _problem, next) => next(new Error('handed on')) },
    )
    head('Content-Type: text/plain\r\nTransfer-Encoding: chunked')
    chunk('123')
    expect(await closed).toMatch(/^HTTP\/1.1 413 /)
  })
})

describe('raw', () => {
  test('puts the exact bytes of any type on req.body', async () => {
    const seen: unknown[] = []
    const handler: ServeOptions['handler'] = (req, res) => {
      seen.push((req as { body?: unknown }).body)
      res.end()
    }
    const { post } = serving({ parse: 'raw' }, { handler })
    const bytes = '{"a":1,"a":2, "__proto__":3'
    await post('/').set('Content-Type', 'application/json').serialize(asIs).send(bytes).expect(200)
    await post('/').set('Content-Type', 'text/plain').send('\u00e9').expect(200)
    expect(seen).toEqual([Buffer.from(bytes), Buffer.from('\u00e9')])
  })

  test('is limited in bytes, received and inflated', async () => {
    const options = { parse: 'raw', maxBytes: 100 } as const
    expect(await post(options, json('a'.repeat(101), 'text/plain'))).toMatchObject({
      status: 413,
      handled: 0,
    })
    const bomb = { text: gzipSync(Buffer.alloc(101)), type: 'text/plain' }
    expect(await post(options, bomb, { 'Content-Encoding': 'gzip' })).toMatchObject({
      status: 413,
      handled: 0,
    })
  })
})

describe('two readers on one request', () => {
  test('the limits of both hold', async () => {
    const { post } = serve([body(), body({ maxBytes: 20, maxKeys: 2, maxDepth: 2, maxArrayItems: 2 })])
    const send = (text: string) => post('/').set('Content-Type', 'application/json').send(text)
    await send('{"a":[1,2]}').expect(200)
    await send('{"a":"aaaaaaaaaaaaaaa"}').expect(413)
    await send('{"a":1,"b":1,"c":1}').expect(400)
    await send('[1,2,3]').expect(400)
    await send('[[[]]]').expect(400)
  })

  test('a later raw reader takes what an earlier one left, and breaks on what it parsed', async () => {
    const { post } = serve([body(), body({ parse: 'raw' })], {
      handler: (req, res) => res.end((req as { body?: Buffer }).body),
    })
    await post('/').set('Content-Type', 'text/plain').send('abc').expect(200)
    await post('/').set('Content-Type', 'application/json').send('{}').expect(500)
  })
})

test('a request without a body passes at once', async () => {
  const { get, handled } = serving()
  const reply = await get('/').expect(200)
  expect(reply.body).toEqual({ absent: true })
  expect(handled()).toBe(1)
})

test('report mode does not relax it', async () => {
  const { post, handled } = serving(undefined, {
    enforcement: ({ reportable }) => (reportable === 'never' ? 'enforce' : 'report'),
  })
  await post('/').set('Content-Type', 'application/json').send('{').expect(400)
  expect(handled()).toBe(0)
})

test.each([
  [{ maxBytes: 0 }, 'body.maxBytes must be an integer'],
  [{ maxDepth: 513 }, 'body.maxDepth must be an integer from 1 to 512, got 513'],
  [{ maxKeys: 1.5 }, 'body.maxKeys'],
  [{ maxArrayItems: '9' }, 'body.maxArrayItems'],
  [{ timeoutMs: Infinity }, 'body.timeoutMs'],
  [{ charsets: [] }, 'body.charsets must list at least one'],
  [
    { charsets: ['utf-7'] },
    'body.charsets must list encodings that TextDecoder knows, got a string of 5 characters',
  ],
  [{ scalars: 'yes' }, 'body.scalars must be true or false'],
  [{ parse: 'jsn' }, 'body.parse must be one of \'json\', \'raw\', got "jsn". Did you mean "json"?'],
  [{ maxByte: 1 }, 'body has no option "maxByte". Did you mean "maxBytes"?'],
])('%j does not start', (options, message) => {
  const start = () => body(options as BodyOptions)
  expect(start).toThrow(ConfigError)
  expect(start).toThrow(message)
})

test('describes its effective limits', () => {
  expect(body({ maxDepth: 8 }).stage.describe()).toMatchObject({
    maxBytes: 102_400,
    maxDepth: 8,
    parse: 'json',
  })
})
