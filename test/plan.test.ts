import { createServer } from 'node:http'
import request from 'supertest'
import { testApi } from './support/api.js'

const served = (routes: object, options: object = {}) => {
  const { api, as } = testApi({ routes, ...options } as never)
  const server = createServer(api.protect((_req, res) => void res.end()))
  const get = (path: string) => request(server).get(path).set('Authorization', as())
  return { api, get }
}

describe('names of limits', () => {
  test.each<[string, object]>([
    [
      'two routes that fit one odd path',
      {
        routes: {
          'GET /a/:id': { rateLimit: { name: 'burst' } },
          'GET /a/*': { rateLimit: { name: 'burst' } },
        },
      },
    ],
    ['a route and the general settings', { routes: { 'GET /a': { rateLimit: { name: 'default' } } } }],
    [
      'two stages of one route',
      { routes: { 'GET /a': { rateLimit: { name: 'burst' }, quota: { name: 'burst' } } } },
    ],
    [
      'a replacement and another route',
      {
        routes: {
          'GET /a': { rateLimit: { replace: { name: 'burst' } } },
          'GET /b': { rateLimit: { name: 'burst' } },
        },
      },
    ],
  ])('are those of one limit each: %s', (_where, options) => {
    expect(() => testApi(options)).toThrow(
      /^.+ and .+: two limits are named "(?:burst|default)"; give one of them/,
    )
  })

  test('also of guards, which the message calls by their number', () => {
    const { api } = testApi({ rateLimit: { name: 'general' } })
    api.guard({ rateLimit: { name: 'login' } })
    expect(() => api.guard({ rateLimit: { name: 'login' } })).toThrow(
      'guard 1.rateLimit and guard 2.rateLimit: two limits are named "login"',
    )
    expect(() => api.guard({ quota: { name: 'general' } })).toThrow('rateLimit and guard 2.quota')
    // A guard that was refused has claimed nothing.
    expect(() => api.guard({ rateLimit: { name: 'export' }, quota: { name: 'export' } })).toThrow(
      'two limits',
    )
    expect(() => api.guard({ rateLimit: { name: 'export' } })).not.toThrow()
  })
})

describe('a path that may be meant for two rules', () => {
  test('gets what both ask', async () => {
    const { get } = served({
      'GET /a/:id': { rateLimit: { limit: 2 } },
      'GET /:x/b': { rateLimit: { limit: 1 } },
    })
    await get('/a/1').expect(200)
    await get('/a/b/').expect(200)
    await get('/A/b').expect(429)
    await get('/a/1').expect(429)
  })
})

describe('a raw body with a smaller limit', () => {
  const post = async (path: string, type: string, body: string) => {
    const { api } = testApi({
      auth: false,
      routes: { 'POST /raw': { body: { parse: 'raw', maxBytes: 10 } } },
    })
    let handled = 0
    const server = createServer(
      api.protect((_req, res) => {
        handled++
        res.end()
      }),
    )
    const { status } = await request(server).post(path).set('Content-Type', type).send(body)
    return [status, handled]
  }
  const long = '"0123456789"'

  test.each(['/raw', '/RAW', '/raw/', '/%72aw'])('has it on %s as well, whatever the type', async (path) => {
    expect(await post(path, 'application/json', long)).toEqual([413, 0])
    expect(await post(path, 'text/plain', long)).toEqual([413, 0])
    expect(await post(path, 'text/plain', 'short')).toEqual([200, 1])
  })

  test('has none elsewhere', async () => {
    expect(await post('/else', 'text/plain', long)).toEqual([200, 1])
  })
})

describe('what adds nothing by a slip is refused', () => {
  test.each<[string, object, RegExp]>([
    [
      'a Map of routes',
      { routes: new Map() },
      /^routes must be an object of rules, got an instance of a class/,
    ],
    ['a list of routes', { routes: [] }, /^routes must be an object of rules, got an empty array/],
    [
      'no routes',
      { routes: undefined },
      /^secureApi\.routes is undefined; give it a value, or leave the key out/,
    ],
    [
      'a rule that is true',
      { routes: { 'GET /a': true } },
      /^routes\['GET \/a'\] must be an object of options, got true/,
    ],
    ['a rule that is null', { routes: { 'GET /a': null } }, /got null/],
    [
      'a misspelt constant in a rule',
      { routes: { 'GET /a': { rbac: undefined } } },
      /^routes\['GET \/a'\]\.rbac is undefined/,
    ],
    ['a misspelt constant for a row', { mask: undefined }, /^secureApi\.mask is undefined/],
    [
      'a limit in a route that is none',
      { routes: { 'GET /a': { rateLimit: { limit: 0 } } } },
      /^routes\['GET \/a'\]: rateLimit.*limit must be an integer/,
    ],
    [
      'a clock that is none',
      { clock: null },
      /^clock must have the methods now, monotonic and after, got null/,
    ],
    [
      'a log that is none',
      { log: { warn: () => undefined } },
      /^log must have the methods info, warn and error/,
    ],
    ['a deadline of a store that is not there', { storeTimeoutMs: 0 }, /^storeTimeoutMs must be an integer/],
  ])('%s', (_what, options, message) => {
    expect(() => testApi(options as never)).toThrow(message)
  })

  test.each<[string, object, RegExp]>([
    ['nothing', {}, /^guard must be told what to add/],
    ['a misspelt constant', { rbac: undefined }, /^guard\.rbac is undefined/],
    ['a list', [], /^guard must be an object of options/],
  ])('a guard with %s', (_what, settings, message) => {
    expect(() => testApi().api.guard(settings)).toThrow(message)
  })
})
