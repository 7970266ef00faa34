import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Clock } from '../src/kernel/ports.js'
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
}

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
    const { api, as, issuer } = testApi({ clock })
    await api.ready()
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
