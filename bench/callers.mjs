// Bundled and run by micro.mjs: what it costs to know a caller, as a share of what another way costs in the same turn.
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto'
import { apiKey } from '../src/identity/api-key.ts'
import { apiKeys } from '../src/identity/api-keys.ts'
import { auth } from '../src/identity/auth.ts'
import { bearer } from '../src/identity/bearer.ts'
import { session } from '../src/identity/session.ts'
import { memory } from '../src/kernel/memory.ts'
import { createServices } from '../src/kernel/services.ts'
import { dpopClient } from '../src/testing/dpop.ts'
import { CALLERS, CALLS, eachOf, inTurns, ISSUER, known, list, mint, requestWith } from './asked.mjs'

const PROOFS = 500
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

const tokens = list((i) => ({ authorization: `Bearer ${mint(secret, { sub: `user-${i}` })}` }))
const keyFields = await listed(async (i) => ({ 'x-api-key': await newKey(i) }))
const cookies = await listed(async (i) => ({ cookie: await newCookie(i) }))
const client = dpopClient()
const boundToken = mint(secret, { sub: 'user-0', cnf: { jkt: client.jkt } })

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const signed = randomBytes(300)
const signature = sign('sha256', signed, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })
const publicKey = { key: ec.publicKey, dsaEncoding: 'ieee-p1363' }

for (const one of [bearers, bound]) await one.stage.ready(services)

const costs = {
  jwt: () => eachOf(CALLS, (i) => asked(bearers.stage, tokens[i % CALLERS])),
  key: () => eachOf(CALLS, (i) => asked(keys.stage, keyFields[i % CALLERS])),
  session: () => eachOf(CALLS, (i) => asked(sessions.stage, cookies[i % CALLERS])),
  alone: () => eachOf(CALLS, (i) => asked(alone.stage, tokens[i % CALLERS])),
  several: () => eachOf(CALLS, (i) => asked(several.stage, tokens[i % CALLERS])),
  proof: () => {
    // A proof is good once.
    const sent = Array.from({ length: PROOFS }, () => fieldsOf(client.fields('GET', URL_, boundToken)))
    return eachOf(PROOFS, (i) => asked(bound.stage, sent[i]))
  },
  verification: () =>
    eachOf(PROOFS, () => {
      if (!verify('sha256', signed, publicKey, signature)) throw new Error('a good signature was refused')
    }),
}

const taken = await inTurns(turns, costs)
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

function asked(stage, fields) {
  return known(stage, requestWith(fields, services))
}

function fieldsOf(fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]))
}

async function listed(make) {
  const all = []
  for (let i = 0; i < CALLERS; i++) all.push(await make(i))
  return all
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
