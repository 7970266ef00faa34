// A process of its own, in which an API with everything on answers a list of requests, and which prints what it said.
// `frozen`: with all prototypes of the language frozen, which nobody who shares a process can rely on being writable.
'use strict'
const { createServer } = require('node:http')
const { connect } = require('node:net')
const { gzipSync } = require('node:zlib')
const { localIssuer, fakeClock } = require('../../../dist/testing.cjs')
const { bearer, defineStage, secureApi } = require('../../../dist/index.cjs')

const [how, ...versions] = process.argv.slice(2)
const factories = versions.map((name) => [name, require(name)])
const prototypes = builtIn()
// Afterwards: some packages, Express and winston among them, cannot even be loaded.
if (how === 'frozen') for (const prototype of prototypes) Object.freeze(prototype)

const clock = fakeClock()
const issuer = localIssuer({ clock })
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
const order = {
  type: 'object',
  properties: { item: { type: 'string', maxLength: 9 }, password: { type: 'string' }, note: {} },
}

const owned = new Map([
  ['1', { owner: 'ada' }],
  ['2', { owner: 'bob' }],
])

function everythingOn(events) {
  const keep = (event) => void events.push(event)
  return secureApi({
    auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
    cors: { origins: ['https://app.example.com'], credentials: true },
    firewall: { hosts: ['a'] },
    rbac: { roles: { clerk: ['orders:create'], admin: ['*:*'] } },
    rateLimit: { limit: 100_000 },
    quota: { limit: 100_000 },
    mask: { '**.password': 'redact', '**.card': { as: 'last4', unless: { role: 'admin' } } },
    body: { maxBytes: 2_000 },
    audit: { logger: { info: keep, warn: keep, error: keep } },
    requestId: { trustIncoming: true },
    trustProxy: 1,
    trace: true,
    extra: [{ after: 'requestId', stage: defineStage('own', () => ({ enter: () => undefined }))() }],
    routes: {
      'GET /health': { public: true },
      'POST /orders': { rbac: 'orders:create', validate: { body: order } },
      'GET /orders/:id': {
        validate: { params: { type: 'object', properties: { id: { type: 'integer' } } } },
      },
      'GET /own/:id': {
        ownership: { load: ({ params }) => owned.get(params.id), owner: 'owner' },
        policy: { later: async () => true, old: ({ now }) => ({ allow: now > 0 }) },
      },
      'GET /search': { validate: { query: { type: 'object', properties: { n: { type: 'integer' } } } } },
      'GET /staff': { rbac: { role: 'admin' } },
      'GET /few': { rateLimit: { name: 'few', limit: 1 } },
    },
    clock,
    log: silent,
    fetch: issuer.fetch,
  })
}

function handler(req, res) {
  if (req.url === '/boom') throw new Error('boom')
  if (req.url === '/past')
    return void res.setHeader('Content-Type', 'application/json').end('{"password":"x"}')
  if (req.url === '/text') return void res.end('text')
  const { input, principal } = req.security
  res.json({
    input,
    who: principal?.subject,
    password: 'x',
    card: '4111111111111234',
    list: [{ password: 1 }],
  })
}

function requests() {
  const as = (claims) => `Authorization: Bearer ${issuer.mint(claims)}`
  const caller = as({ sub: 'ada' })
  const clerk = as({ sub: 'bob', roles: ['clerk'] })
  const get = (target, ...lines) => `GET ${target} HTTP/1.1\r\nHost: a\r\n${lines.join('\r\n')}\r\n\r\n`
  const post = (body, ...lines) =>
    `POST /orders HTTP/1.1\r\nHost: a\r\n${clerk}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${lines.join('\r\n')}${lines.length === 0 ? '' : '\r\n'}\r\n${body}`
  return [
    get('/health', 'X: y'),
    get('/any', caller),
    get('/any', as({ sub: 'eve', roles: ['admin'] })),
    get('/any', 'X: y'),
    get('/any', 'Authorization: Bearer rubbish'),
    get('/any', 'Authorization: Basic a'),
    get('/any', 'Authorization: Bearer a b'),
    get('/any', as({ exp: 1 })),
    get('/any', as({ aud: 'another' })),
    get('/staff', caller),
    get('/few', caller),
    get('/few', caller),
    get('/orders/7', caller),
    get('/orders/x', caller),
    get('/own/1', caller),
    get('/own/2', caller),
    get('/own/__proto__', caller),
    get('/search?n=1', caller),
    get('/search?n=x', caller),
    get('/search?n=1&n=2', caller),
    get('/search?__proto__=1', caller),
    get('/a//b', caller),
    get('/a%2fb', caller),
    get('/boom', caller),
    get('/past', caller),
    get('/text', caller),
    get('/any', caller, 'X-Forwarded-For: 198.51.100.7', 'X-Request-Id: abc-123'),
    get('/any', caller, 'Origin: https://app.example.com'),
    get('/any', caller, 'Origin: https://evil.example'),
    get('/any', caller, 'Cookie: a=b; __proto__=c'),
    'OPTIONS /any HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example.com\r\nAccess-Control-Request-Method: PUT\r\n\r\n',
    'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: b\r\n\r\n',
    `HEAD /any HTTP/1.1\r\nHost: a\r\n${caller}\r\n\r\n`,
    post('{"item":"x","password":"y","note":{"a":[1,{"b":null}]}}'),
    post('{"item":1,"stranger":2}'),
    post('{"item":"much too long"}'),
    post('{'),
    post('{"item":"x","item":"y"}'),
    post('{"__proto__":{"item":"x"}}'),
    post('{"note":{"constructor":{"prototype":{"polluted":true}}}}'),
    post(`{"note":"${'a'.repeat(3_000)}"}`),
    post('"\ud800"'),
    post(gzipSync('{"item":"x"}').toString('latin1'), 'Content-Encoding: gzip'),
    post('{"item":"x"}', 'Content-Encoding: gzip'),
    post('{"item":"x"}').replace('application/json', 'text/plain'),
    post('{"item":"x"}').replace(clerk, caller),
  ]
}

/** All that came back, without what is different every time. */
function say(port, bytes) {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect(port, '127.0.0.1')
    socket.setEncoding('latin1').on('data', (text) => (received += text))
    socket
      .on('error', reject)
      .on('close', () =>
        resolve(
          received
            .replace(/^(?:Date|traceparent): .*\r\n/gim, '')
            .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}/g, 'some-id'),
        ),
      )
    socket.write(Buffer.from(bytes.replace('\r\n', '\r\nConnection: close\r\n'), 'latin1'))
  })
}

/** Every prototype that comes with the language and with Node's globals. */
function builtIn() {
  const found = new Set([Function.prototype])
  for (const name of Reflect.ownKeys(globalThis)) {
    const { value } = Reflect.getOwnPropertyDescriptor(globalThis, name)
    if (typeof value === 'function' && typeof value.prototype === 'object') found.add(value.prototype)
  }
  for (const one of [
    async () => undefined,
    function* () {},
    async function* () {},
    [][Symbol.iterator](),
    new Map().entries(),
    new Set().values(),
    ''[Symbol.iterator](),
    ''.matchAll(/a/g),
    new Uint8Array(),
  ]) {
    for (let at = Object.getPrototypeOf(one); at !== null; at = Object.getPrototypeOf(at)) found.add(at)
  }
  return [...found]
}

const snapshot = () =>
  prototypes.map(
    (one) => new Map(Reflect.ownKeys(one).map((key) => [key, Reflect.getOwnPropertyDescriptor(one, key)])),
  )

/** What is not as it was, by name. */
function changesSince(before) {
  return snapshot().flatMap((own, i) => {
    const keys = new Set([...own.keys(), ...before[i].keys()])
    return [...keys]
      .filter((key) => {
        const [one, other] = [own.get(key), before[i].get(key)]
        return ['value', 'get', 'set'].some((part) => !Object.is(one?.[part], other?.[part]))
      })
      .map(String)
  })
}

function servers() {
  const plain = { events: [] }
  plain.api = everythingOn(plain.events)
  plain.server = createServer(plain.api.protect(handler))
  const others = factories.map(([name, express]) => {
    const events = []
    const api = everythingOn(events)
    const app = express()
    app.use(api)
    app.use(handler)
    app.use(api.errors())
    return [name, { events, api, server: createServer(app) }]
  })
  return [['node:http', plain], ...others]
}

async function main() {
  const before = snapshot()
  const said = {}
  for (const [name, { api, server, events }] of servers()) {
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    await api.ready()
    const replies = []
    for (const bytes of requests()) replies.push(await say(server.address().port, bytes))
    await api.close()
    server.close()
    said[name] = {
      replies,
      events: events.map(({ kind, code, status, route, rule }) => ({ kind, code, status, route, rule })),
    }
  }
  process.stdout.write(
    JSON.stringify({ said, changed: changesSince(before), frozen: Object.isFrozen(Object.prototype) }),
  )
}

void main()
