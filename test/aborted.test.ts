import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { apiKey } from '../src/identity/api-key.js'
import { newId, newKey } from '../src/identity/api-key-text.js'
import { basic } from '../src/identity/basic.js'
import { introspection } from '../src/identity/introspection.js'
import { verifyPassword } from '../src/identity/passwords.js'
import { session } from '../src/identity/session.js'
import { memory } from '../src/kernel/memory.js'
import type { Clock } from '../src/kernel/ports.js'
import type { SecureApiOptions } from '../src/secure-api.js'
import { fakeClock } from '../src/testing/index.js'
import { testApi } from './support/api.js'

/** A fake clock that knows which of its timers were neither called nor cancelled. */
function countingClock() {
  const clock = fakeClock()
  const timers = new Set<object>()
  const after: Clock['after'] = (ms, callback) => {
    const timer = {}
    timers.add(timer)
    const cancel = clock.after(ms, () => {
      timers.delete(timer)
      callback()
    })
    return () => {
      timers.delete(timer)
      cancel()
    }
  }
  return { ...clock, after, timers }
}

const head = (line: string, ...fields: string[]) => [line, 'Host: a', ...fields, '', ''].join('\r\n')

interface Moment {
  /** What is sent, given a valid token and one of an unknown key. */
  readonly text: (valid: string, unknown: string) => string
  /** What tells that the moment has come. */
  readonly until: 'connected' | 'arrived' | 'handled'
  /** How callers are known, if not by a token. */
  readonly auth?: SecureApiOptions['auth']
  /** What else is asked of it. */
  readonly options?: Partial<SecureApiOptions>
  /** As much work as goes on for who has left, and more. */
  readonly meanwhile?: () => Promise<unknown>
}

const never = () => new Promise<never>(() => undefined)
/** A store that does not say a word. */
const store = {
  records: { get: never, put: never, replace: never, delete: never, list: never },
  once: { claim: never },
}
/** Sent by nobody else, and good for nothing: nobody will ever know. */
const asking = (auth: SecureApiOptions['auth'], field: string): Moment => ({
  text: () => head('GET / HTTP/1.1', field),
  until: 'arrived',
  auth,
})

const PEPPER = randomBytes(32)
const HASH = `$scrypt$ln=15,r=8,p=3$${'A'.repeat(22)}$${'A'.repeat(43)}`

const moments: Record<string, Moment> = {
  'in the middle of the head': { text: () => 'GET / HTTP/1.1\r\nHost: a\r\nX-Half: ', until: 'connected' },
  'in the middle of the body': {
    text: (valid) =>
      `${head('POST / HTTP/1.1', `Authorization: ${valid}`, 'Content-Type: application/json', 'Content-Length: 9')}{"a`,
    until: 'arrived',
  },
  'while it waits for keys': {
    text: (_valid, unknown) => head('GET / HTTP/1.1', `Authorization: ${unknown}`),
    until: 'arrived',
  },
  'while its session is looked up': asking(
    [session({ store })],
    `Cookie: __Host-session=${randomBytes(32).toString('base64url')}`,
  ),
  'while its key is looked up': asking(
    [apiKey({ store, pepper: PEPPER })],
    `X-API-Key: ${newKey('apikey', newId()).key}`,
  ),
  'while its token is asked about': asking(
    [
      introspection({
        issuer: 'https://id.test',
        endpoint: 'https://id.test/introspect',
        audience: 'orders',
        clientId: 'orders',
        clientSecret: 'secret of the orders',
      }),
    ],
    'Authorization: Bearer opaque',
  ),
  'while its password is hashed': {
    ...asking(
      [basic({ users: { ann: HASH }, store: memory(), allowInsecureLoopback: true })],
      `Authorization: Basic ${Buffer.from('ann:wrong').toString('base64')}`,
    ),
    meanwhile: async () => {
      for (let times = 0; times < 3; times++) await verifyPassword('wrong', HASH)
    },
  },
  'while its name is looked up': asking(
    [basic({ users: never, store: memory(), allowInsecureLoopback: true })],
    `Authorization: Basic ${Buffer.from('ann:wrong').toString('base64')}`,
  ),
  'while its object is loaded': {
    text: (valid) => head('GET / HTTP/1.1', `Authorization: ${valid}`),
    until: 'arrived',
    options: { ownership: { load: never, owner: 'owner' } },
  },
  'while a policy waits': {
    text: (valid) => head('GET / HTTP/1.1', `Authorization: ${valid}`),
    until: 'arrived',
    options: { policy: { slow: never } },
  },
  'while the handler works': {
    text: (valid) => head('GET / HTTP/1.1', `Authorization: ${valid}`),
    until: 'handled',
  },
  'in the middle of the reply': {
    text: (valid) => head('GET /big HTTP/1.1', `Authorization: ${valid}`),
    until: 'handled',
  },
  'with a second request behind the first': {
    text: (valid) => head('GET / HTTP/1.1', `Authorization: ${valid}`).repeat(2),
    until: 'handled',
  },
}

test.each(Object.entries(moments))(
  'a client that leaves %s leaves no timer and no listener',
  async (_when, moment) => {
    const clock = countingClock()
    const asks = moment.auth !== undefined
    const { api, as, issuer } = testApi({
      clock,
      ...moment.options,
      ...(asks && { auth: moment.auth, fetch: never }),
    })
    if (!asks) await api.ready()
    const server = createServer(
      api.protect((req, res) => {
        if (req.url === '/big') res.write(Buffer.alloc(4_000_000))
        server.emit('handled')
      }),
    )
    const port = await listening(server)
    const listeners = () =>
      [process, server].map((one) => one.eventNames().map((name) => one.listenerCount(name)))
    const before = listeners()
    try {
      const event = { connected: 'connection', arrived: 'request', handled: 'handled' }[moment.until]
      const connected = once(server, 'connection') as Promise<[Socket]>
      const come = once(server, event)
      const client = connect(port, '127.0.0.1')
      client.write(moment.text(as(), `Bearer ${issuer.mint({}, { header: { kid: 'unknown' } })}`))
      const [socket] = await connected
      await come
      const gone = new Promise((resolve) => socket.once('close', resolve))
      client.destroy()
      await gone
      await new Promise(setImmediate)
      await moment.meanwhile?.()
      // Who waits for keys waits a second, whether or not anybody listens; the deadline of a handler is far beyond this.
      for (let turn = 0; turn < 200 && clock.timers.size > 0; turn++) {
        clock.advance(100)
        await new Promise(setImmediate)
      }

      expect(clock.timers.size).toBe(0)
      expect(listeners()).toEqual(before)
    } finally {
      server.close()
      await api.close()
    }
  },
)

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
