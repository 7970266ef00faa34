// Bundled and run by micro.mjs: what it costs to know a caller, as a share of what another way costs in the same turn.
import { createHmac, generateKeyPairSync, randomBytes, randomUUID, sign, verify } from 'node:crypto'
import { apiKey } from '../src/identity/api-key.ts'
import { apiKeys } from '../src/identity/api-keys.ts'
import { auth } from '../src/identity/auth.ts'
import { bearer } from '../src/identity/bearer.ts'
import { session } from '../src/identity/session.ts'
import { SecurityContext } from '../src/kernel/context.ts'
import { memory } from '../src/kernel/memory.ts'
import { createServices } from '../src/kernel/services.ts'
import { dpopClient } from '../src/testing/dpop.ts'

const CALLERS = 1_000
const CALLS = 20_000
const PROOFS = 500
const ISSUER = 'https://issuer.test'
const URL_ = 'https://api.test/orders'

const turns = Number(process.argv[2])
const services = createServices({})
const secret = randomBytes(32)
const store = memory()
const pepper = randomBytes(32)

const bearers = bearer({ issuer: ISSUER, audience: 'orders', secret, cacheEntries: 10_000 })
const keys = apiKey({ store, pepper, lastUsedMs: 0 })
const sessions = session({ store })
const several = auth([bearers, keys, sessions])
const alone = auth([bearers])
const bound = bearer({
  ...{ issuer: ISSUER, audience: 'orders', secret, cacheEntries: 10_000 },
  dpop: { mode: 'required', baseUrls: 'https://api.test', store },
})

const tokens = list((i) => ({ authorization: `Bearer ${mint({ sub: `user-${i}` })}` }))
const keyFields = await listed(async (i) => ({ 'x-api-key': await newKey(i) }))
const cookies = await listed(async (i) => ({ cookie: await newCookie(i) }))
const client = dpopClient()
const boundToken = mint({ sub: 'user-0', cnf: { jkt: client.jkt } })

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const signed = randomBytes(300)
const signature = sign('sha256', signed, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })
const publicKey = { key: ec.publicKey, dsaEncoding: 'ieee-p1363' }

for (const one of [bearers, bound]) await one.stage.ready(services)

const costs = {
  jwt: () => eachOf(CALLS, (i) => known(bearers.stage, tokens[i % CALLERS])),
  key: () => eachOf(CALLS, (i) => known(keys.stage, keyFields[i % CALLERS])),
  session: () => eachOf(CALLS, (i) => known(sessions.stage, cookies[i % CALLERS])),
  alone: () => eachOf(CALLS, (i) => known(alone.stage, tokens[i % CALLERS])),
  several: () => eachOf(CALLS, (i) => known(several.stage, tokens[i % CALLERS])),
  proof: () => {
    // A proof is good once.
    const sent = Array.from({ length: PROOFS }, () => fieldsOf(client.fields('GET', URL_, boundToken)))
    return eachOf(PROOFS, (i) => known(bound.stage, sent[i]))
  },
  verification: () =>
    eachOf(PROOFS, () => {
      if (!verify('sha256', signed, publicKey, signature)) throw new Error('a good signature was refused')
    }),
}

const taken = Object.fromEntries(Object.keys(costs).map((name) => [name, []]))
for (let turn = -3; turn < turns; turn++) {
  for (const [name, measure] of Object.entries(costs)) {
    const cost = await measure()
    // The first turns are those in which code gets hot.
    if (turn >= 0) taken[name].push(cost)
  }
}
const share = (name, of) => taken[name].map((cost, turn) => cost / taken[of][turn])
const rows = [
  { part: 'API key from memory, of a known JWT', key: 'callerShare', samples: share('key', 'jwt') },
  { part: 'session from memory, of a known JWT', key: 'callerShare', samples: share('session', 'jwt') },
  {
    part: 'known JWT where keys and sessions are good too, of where they are not',
    key: 'othersShare',
    samples: share('several', 'alone'),
  },
  {
    part: 'DPoP proof and its token, of one ES256 verification',
    key: 'proofShare',
    samples: share('proof', 'verification'),
  },
]
process.stdout.write(JSON.stringify(rows), () => process.exit())

/** Microseconds of CPU time of a call. */
async function eachOf(calls, call) {
  const before = process.cpuUsage()
  for (let i = 0; i < calls; i++) {
    const late = call(i)
    if (late !== undefined) await late
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

/** Asks a stage who sent these fields, whose text was just read from the wire; nothing but a known caller will do. */
function known(stage, fields) {
  const headers = {}
  const rawHeaders = []
  for (const name in fields) {
    headers[name] = Buffer.from(fields[name], 'latin1').toString('latin1')
    rawHeaders.push(name, headers[name])
  }
  const req = { method: 'GET', url: '/orders', headers, rawHeaders, socket: {} }
  const ctx = new SecurityContext(req, {}, services)
  const verdict = stage.enter(ctx)
  const look = (refused) => {
    if (refused !== undefined || ctx.principal === undefined) throw new Error(`refused: ${refused?.rule}`)
  }
  return typeof verdict?.then === 'function' ? verdict.then(look) : look(verdict)
}

function fieldsOf(fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]))
}

function list(make) {
  return Array.from({ length: CALLERS }, (_, i) => make(i))
}

async function listed(make) {
  const all = []
  for (let i = 0; i < CALLERS; i++) all.push(await make(i))
  return all
}

function mint(claims) {
  const now = Math.floor(Date.now() / 1000)
  const times = { iat: now, exp: now + 3600, scope: 'orders:read' }
  const payload = { iss: ISSUER, aud: 'orders', client_id: 'shop', jti: randomUUID(), ...times, ...claims }
  const text = `${encoded({ alg: 'HS256', typ: 'at+jwt' })}.${encoded(payload)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

function encoded(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

async function newKey(i) {
  const { key } = await apiKeys({ store, pepper }).create({
    owner: `user-${i}`,
    name: 'bench',
    scopes: ['orders:read'],
  })
  return key
}

async function newCookie(i) {
  const fields = new Map()
  const res = {
    hasHeader: (name) => fields.has(name),
    getHeader: (name) => fields.get(name),
    setHeader: (name, value) => void fields.set(name, value),
  }
  await sessions.login({ headers: {} }, res, { subject: `user-${i}`, factors: ['pwd'] })
  return [fields.get('Set-Cookie')].flat()[0].split(';')[0]
}
