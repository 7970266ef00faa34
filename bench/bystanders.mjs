// Bundled and run by micro.mjs: what a method costs those who do not use it, beside the same where it is not there.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { apiKey } from '../src/identity/api-key.ts'
import { auth } from '../src/identity/auth.ts'
import { basic } from '../src/identity/basic.ts'
import { bearer } from '../src/identity/bearer.ts'
import { introspection } from '../src/identity/introspection.ts'
import { mtls } from '../src/identity/mtls.ts'
import { session } from '../src/identity/session.ts'
import { memory } from '../src/kernel/memory.ts'
import { createServices } from '../src/kernel/services.ts'
import { CALLERS, CALLS, eachOf, inTurns, ISSUER, known, list, mint, requestWith } from './asked.mjs'

const turns = Number(process.argv[2])
const services = createServices({})
const secret = randomBytes(32)
const store = memory()
const { certificate, socket } = await overTls()

const jwt = (more) => bearer({ issuer: ISSUER, audience: 'orders', secret, cacheEntries: 10_000, ...more })
const bound = () => jwt({ dpop: { mode: 'allowed', baseUrls: 'https://api.test', store } })
const opaque = 'https://opaque.test'
const others = {
  apiKey: () => apiKey({ store, pepper: randomBytes(32) }),
  session: () => session({ store }),
  basic: () => basic({ users: {} }),
  mtls: () => mtls({ ca: certificate }),
  introspection: () =>
    introspection({
      ...{ issuer: opaque, endpoint: `${opaque}/introspect`, audience: 'orders' },
      ...{ clientId: 'api', clientSecret: 'secret of the API' },
    }),
}
const all = () => [bound(), ...Object.values(others).map((make) => make())]
const optional = (any) => auth({ any, optional: true })

const tokens = list((i) => ({ authorization: `Bearer ${mint(secret, { sub: `user-${i}` })}` }))
const withCookies = tokens.map((fields) => ({ ...fields, cookie: 'theme=dark; _visit=1.2.345.678; lang=en' }))
const nobody = list(() => ({ 'user-agent': 'bench' }))

/** Where a method is there and where it is not, and who comes. */
const pairs = {
  basic: [auth([jwt()]), auth([jwt(), others.basic()]), tokens],
  'mtls, over TLS': [auth([jwt()]), auth([jwt(), others.mtls()]), tokens],
  introspection: [auth([jwt()]), auth([jwt(), others.introspection()]), tokens],
  "dpop: 'allowed'": [auth([jwt()]), auth([bound()]), tokens],
  'session, with cookies of others': [auth([jwt()]), auth([jwt(), others.session()]), withCookies],
}
const crowds = {
  'a known JWT': [auth([jwt()]), auth(all()), tokens],
  'nobody, where that is allowed': [optional([jwt()]), optional(all()), nobody],
}

const costs = {}
for (const [name, [without, beside, fields]] of Object.entries({ ...pairs, ...crowds })) {
  const ask = fields === nobody ? unknown : known
  const cost =
    ({ stage }) =>
    () =>
      eachOf(CALLS, (i) => ask(stage, requestWith(fields[i % CALLERS], services, socket)))
  costs[`without ${name}`] = cost(without)
  costs[name] = cost(beside)
}

const taken = await inTurns(turns, costs)
const each = (names, figure) =>
  Object.keys(names).map((name) => ({
    name,
    samples: taken[name].map((cost, turn) => figure(cost, taken[`without ${name}`][turn])),
  }))
const rows = [
  ...each(pairs, (cost, without) => cost / without).map(({ name, samples }) => ({
    part: `known JWT beside ${name}, of one where it is not there`,
    key: 'othersShare',
    samples,
  })),
  ...each(crowds, (cost, without) => cost - without).map(({ name, samples }) => ({
    part: `${name}: six methods more, added`,
    key: 'othersAdded',
    samples,
  })),
]
process.stdout.write(JSON.stringify(rows), () => process.exit())

function unknown(stage, ctx) {
  if (stage.enter(ctx) !== undefined || ctx.principal !== undefined) throw new Error('nobody was not let in')
}

/** A connection whose client showed no certificate, as the server has it. */
async function overTls() {
  const folder = mkdtempSync(join(tmpdir(), 'secure-api-bench-'))
  const [key, cert] = ['key', 'cert'].map((name) => join(folder, name))
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost']
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const own = { key: readFileSync(key), cert: readFileSync(cert) }
  rmSync(folder, { recursive: true })
  const server = createServer({ ...own, requestCert: true, rejectUnauthorized: false })
  const socket = await new Promise((resolve) => {
    server.once('secureConnection', resolve)
    server.listen(0, '127.0.0.1', () =>
      connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: own.cert }),
    )
  })
  return { certificate: own.cert.toString(), socket }
}
