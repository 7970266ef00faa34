import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import request from 'supertest'
import type { Respond } from '../../src/kernel/respond.js'
import { testApi } from '../support/api.js'
import { listen } from '../support/raw.js'

describe('a `respond` of your own', () => {
  function refusing(answer: Respond) {
    let asked!: () => void
    const refused = new Promise<void>((resolve) => (asked = resolve))
    const handler = jest.fn()
    const respond: Respond = (...all) => {
      asked()
      return answer(...all)
    }
    const { api, clock } = testApi({ auth: false, rateLimit: { limit: 1, cost: () => 2 }, respond })
    return { server: createServer(api.protect(handler)), clock, refused, handler }
  }

  test.each<[string, Respond]>([
    ['says nothing', () => undefined],
    ['promises and never does', () => new Promise<void>(() => undefined) as never],
  ])('that %s is answered for after 30 seconds', async (_how, answer) => {
    const { server, clock, refused, handler } = refusing(answer)
    const reply = request(server)
      .get('/')
      .then((received) => received)
    await refused
    clock.advance(29_999)
    clock.advance(1)
    const { status, body, headers } = await reply
    expect(status).toBe(429)
    expect(body).toMatchObject({ code: 'rate-limited' })
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(handler).not.toHaveBeenCalled()
  })

  test('that has begun has all the time it wants', async () => {
    const { server, clock, refused } = refusing(({ res }) => void res.writeHead(418).write('I am'))
    await listen(server)
    const { status } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await refused
    clock.advance(60_000)
    server.closeAllConnections()
    server.close()
    expect(status).toBe(418)
  })
})
