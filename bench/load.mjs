// The identity provider and all clients, in one process: signs the tokens, publishes the key, and keeps connections busy.
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { dpopClient } from '../dist/testing.js'
import { AUDIENCE, BASE, CALLERS, faultOf, ISSUER, NEW_ORDER, ORIGIN, SCENARIOS, WARM } from './world.mjs'

const CONNECTIONS = 32
const ADDRESSES = 1_000
/** More than any cache here holds. */
const FRESH = Number(process.env.BENCH_FRESH ?? 20_000)

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const header = base64url({ alg: 'RS256', typ: 'at+jwt', kid: 'bench-1' })
const client = dpopClient()
const tokens = {
  warm: mint(WARM),
  fresh: mint(FRESH),
  forged: [],
  bound: mint(WARM, { cnf: { jkt: client.jkt } }),
  opaque: Array.from({ length: WARM }, () => randomUUID()),
}
tokens.forged = tokens.fresh.map(withOtherSignature)

const idp = createServer((req, res) => {
  res.setHeader('Content-Type', 'application/json')
  if (req.url === '/introspect') return introspect(req, res)
  res.end(
    JSON.stringify({
      keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench-1', alg: 'RS256', use: 'sig' }],
    }),
  )
})
idp.listen(0, '127.0.0.1', () => process.send({ jwksUri: `http://127.0.0.1:${idp.address().port}/jwks` }))

const bodies = {
  valid: JSON.stringify(NEW_ORDER),
  invalid: JSON.stringify({ ...NEW_ORDER, shipping: { ...NEW_ORDER.shipping, country: 'England' } }),
}
/** The field in which each kind of credential is sent. */
const FIELDS = {
  warm: (i) => bearing(tokens.warm, i),
  fresh: (i) => bearing(tokens.fresh, i),
  forged: (i) => bearing(tokens.forged, i),
  opaque: (i) => bearing(tokens.opaque, i),
  key: (i, { key }) => `X-API-Key: ${key[i % WARM]}\r\n`,
  session: (i, { session }) => `Cookie: ${session[i % WARM]}\r\n`,
  proof: (i) => {
    const { Authorization, DPoP } = client.fields('GET', `${BASE}/orders/o-1`, tokens.bound[i % WARM])
    return `Authorization: ${Authorization}\r\nDPoP: ${DPoP}\r\n`
  },
}

/** How far each contestant has come in the list of fresh tokens, so that it meets none twice before all were used. */
const cursors = new Map()

// Whoever asks has gone.
process.on('disconnect', () => process.exit())
process.on('message', async ({ port, scenario, ...how }) => {
  try {
    process.send({ done: await run(port, scenario, how) })
  } catch (error) {
    process.send({ error: error.message })
  }
})

/**
 * Keeps all connections busy for `ms` and until there were `least` replies, or until each was answered with the status
 * `until`; resolves to the number of replies.
 */
async function run(port, name, { ms, isBare, credentials, until, least = 0 }) {
  const scenario = SCENARIOS[name] ?? CALLERS[name]
  const next = requestsOf(scenario, `${port} ${name}`, credentials)
  const wanted = isBare && scenario.bare !== undefined ? [scenario.bare] : scenario.status
  const end = performance.now() + ms
  const counts = await Promise.all(
    Array.from({ length: CONNECTIONS }, () =>
      exchange(port, next, end, { wanted, isBare, until, least: least / CONNECTIONS }),
    ),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

function exchange(port, next, end, { wanted, isBare, until, least }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let done = 0
    let received = ''
    const fail = (why) => {
      socket.destroy()
      reject(new Error(why))
    }
    socket.setEncoding('latin1')
    socket.on('connect', () => socket.write(next(), 'latin1'))
    socket.on('error', (error) => fail(error.message))
    socket.on('close', () => fail('the server closed a connection'))
    socket.on('data', (chunk) => {
      received += chunk
      const headEnd = received.indexOf('\r\n\r\n')
      if (headEnd === -1) return
      const length = /\r\ncontent-length: ([0-9]+)/i.exec(received.slice(0, headEnd))
      if (length === null) return fail(`a reply without length: ${received.slice(0, 200)}`)
      if (received.length < headEnd + 4 + Number(length[1])) return

      done++
      const status = Number(received.slice(9, 12))
      if (until === undefined) {
        if (!wanted.includes(status)) return fail(`answered ${status}: ${received}`)
        // One whole look at each connection is enough: all of them say the same.
        const fault =
          done === 1
            ? faultOf(received.slice(0, headEnd + 2), received.slice(headEnd + 4), isBare)
            : undefined
        if (fault !== undefined) return fail(`${fault}: ${received}`)
      }
      received = ''
      if (status === until || (performance.now() >= end && done >= least)) {
        socket.removeAllListeners('close')
        socket.end()
        return resolve(done)
      }
      socket.write(next(), 'latin1')
    })
  })
}

function requestsOf({ credential, post, oneAddress }, cursor, credentials) {
  const body = post && bodies[post]
  const start =
    (post ? 'POST /orders HTTP/1.1\r\n' : 'GET /orders/o-1 HTTP/1.1\r\n') +
    `Host: api.test\r\nUser-Agent: bench/1.0 (load generator)\r\nAccept: application/json\r\nOrigin: ${ORIGIN}\r\n` +
    (post ? `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` : '')
  const field = FIELDS[credential] ?? (() => '')
  let i = cursors.get(cursor) ?? 0

  return () => {
    cursors.set(cursor, ++i)
    const address = oneAddress ? '203.0.113.9' : `198.18.${(i % ADDRESSES) >> 8}.${(i % ADDRESSES) & 255}`
    return `${start}${field(i, credentials)}X-Forwarded-For: ${address}\r\n\r\n${body ?? ''}`
  }
}

function bearing(list, i) {
  return `Authorization: Bearer ${list[i % list.length]}\r\n`
}

/** Whoever asks is told that the token is good (RFC 7662 section 2.2). */
function introspect(req, res) {
  let form = ''
  req.on('data', (chunk) => (form += chunk))
  req.on('end', () => {
    const at = tokens.opaque.indexOf(new URLSearchParams(form).get('token'))
    const active = { active: true, ...claimsOf(at), token_type: 'Bearer' }
    res.end(JSON.stringify(at === -1 ? { active: false } : active))
  })
}

function mint(count, more = {}) {
  return Array.from({ length: count }, (_, i) => {
    const signed = `${header}.${base64url({ ...claimsOf(i), ...more })}`
    return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`
  })
}

function claimsOf(i) {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: `user-${i % WARM}`,
    client_id: 'shop',
    jti: randomUUID(),
    iat: now,
    exp: now + 36_000,
    scope: 'openid profile orders:read orders:create',
    email: 'ada.lovelace@mail.example',
  }
}

function withOtherSignature(token) {
  const at = token.lastIndexOf('.') + 20
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
}

function base64url(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
