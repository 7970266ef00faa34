import express from 'express'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { auth } from '../src/identity/auth.js'
import { bearer } from '../src/identity/bearer.js'
import { testApi } from './support/api.js'

const CHUNK = 65_536
const MEGABYTE = 1_048_576
const { api, as, issuer, clock } = testApi({ rateLimit: false, audit: false })
const identity = bearer({ issuer: issuer.issuer, audience: issuer.audience })

let handled = 0
const app = express()
app.use((req, res) => {
  handled++
  const { body } = req as { body?: unknown }
  res.json({ body: body ?? null })
})
const inside = express().use(api as never, app)
const alone = express().use(auth([identity], { fetch: issuer.fetch, clock }) as never, app)
const doors: [string, RequestListener][] = [
  ['protect', api.protect(app)],
  ['app.use', inside],
  ['a stage alone', alone],
]

const servers: Server[] = []
async function serving(listener: RequestListener, continued?: RequestListener): Promise<Server> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  if (continued !== undefined) server.on('checkContinue', continued)
  servers.push(server)
  await once(server, 'listening')
  return server
}
beforeEach(() => (handled = 0))
afterAll(() => {
  for (const server of servers) server.close().closeAllConnections()
})

/** A connection of our own, and all that came back over it. */
function dial(server: Server): { socket: Socket; received: () => string; closed: Promise<unknown> } {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  // Whoever writes on is told that nobody listens any more.
  socket.on('error', () => undefined)
  return { socket, received: () => text, closed: new Promise((resolve) => socket.once('close', resolve)) }
}

const head = (...lines: string[]) => `${['POST /x HTTP/1.1', 'Host: a', ...lines].join('\r\n')}\r\n\r\n`

describe.each(doors)('a refused caller, behind %s,', (_door, listener) => {
  test.each([
    ['Content-Length: 1000000000', Buffer.alloc(CHUNK, 120)],
    ['Transfer-Encoding: chunked', Buffer.from(`10000\r\n${'x'.repeat(CHUNK)}\r\n`)],
  ])('cannot go on uploading: %s', async (framing, chunk) => {
    const server = await serving(listener)
    const taken = new Promise<Socket>((resolve) => server.once('connection', resolve))
    const { socket, received, closed } = dial(server)
    socket.write(head('Content-Type: application/json', framing))
    const theirs = await taken
    // Without an end, unless the server ends it.
    for (let sent = 0; !socket.destroyed && sent < 64 * MEGABYTE; sent += chunk.length) {
      if (!socket.write(chunk)) await Promise.race([once(socket, 'drain').catch(() => undefined), closed])
    }
    await closed
    expect(theirs.bytesRead).toBeLessThan(4 * MEGABYTE)
    expect(received()).toMatch(/^HTTP\/1\.1 401 /)
    expect(received()).toMatch(/^connection: close\r$/im)
    expect(received()).toMatch(/^www-authenticate: Bearer/im)
    expect(received()).toContain('urn:secure-api:problem:unauthenticated')
    expect(handled).toBe(0)
  })

  test('keeps the connection if little is left', async () => {
    const { socket, received } = dial(await serving(listener))
    const request = head('Content-Type: application/json', 'Content-Length: 60000')
    socket.write(request)
    await once(socket, 'data')
    socket.write('x'.repeat(60_000))
    socket.write(head('Content-Length: 0', `Authorization: ${as()}`))
    while (!received().includes('{"body":')) await once(socket, 'data')
    expect(received().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200'])
    expect(received()).not.toMatch(/^connection: close/im)
    expect(handled).toBe(1)
    socket.destroy()
  })
})

describe.each(doors.slice(0, 2))(
  'a server that lets %s decide about Expect: 100-continue',
  (_door, listener) => {
    const expecting = ['Expect: 100-continue', 'Content-Length: 7']

    test('invites no body that is refused', async () => {
      const { socket, received, closed } = dial(await serving(listener, listener))
      socket.write(head('Content-Type: application/json', ...expecting))
      await closed
      expect(received()).toMatch(/^HTTP\/1\.1 401 [\s\S]*\r\nconnection: close\r\n/i)
      expect(received()).not.toContain('100 Continue')
      expect(handled).toBe(0)
    })

    test.each(['application/json', 'text/plain'])('invites one that is let in, once: %s', async (type) => {
      const { socket, received } = dial(await serving(listener, listener))
      socket.write(head(`Content-Type: ${type}`, `Authorization: ${as()}`, ...expecting))
      while (!received().includes('100 Continue')) await once(socket, 'data')
      socket.write('{"a":1}')
      while (!received().includes('{"body":')) await once(socket, 'data')
      expect(received().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200'])
      expect(handled).toBe(1)
      socket.destroy()
    })

    test('and does not where Node has done it before', async () => {
      const { socket, received } = dial(await serving(listener))
      socket.write(head('Content-Type: application/json', `Authorization: ${as()}`, ...expecting))
      while (!received().includes('100 Continue')) await once(socket, 'data')
      socket.write('{"a":1}')
      while (!received().includes('{"body":')) await once(socket, 'data')
      expect(received().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200'])
      socket.destroy()
    })
  },
)
