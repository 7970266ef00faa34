// An API with everything on, in a process of its own. Told `watch`, it measures the turns of its event loop; told
// `report`, it says how long the longest was. Told a text, how long `JSON.parse` takes for it.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { apiKey, basic, bearer, hashPassword, memory, mtls, secureApi, session } from 'secure-api'
import { localIssuer } from 'secure-api/testing'
import { listen } from './http.mjs'

const issuer = localIssuer()
const anything = { type: ['object', 'array'], additionalProperties: true, items: true }
const order = { type: 'object', properties: { item: { type: 'string' } } }
const texts = { type: 'object', additionalProperties: { type: 'string' } }
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
const store = memory()
const ca = readFileSync(new URL('certificates/authority.pem', import.meta.url), 'utf8')
const api = secureApi({
  auth: [
    bearer({
      issuer: issuer.issuer,
      audience: issuer.audience,
      keys: issuer.jwks.keys,
      dpop: { mode: 'allowed', baseUrls: ['https://api.test'] },
      certificate: 'Client-Cert',
    }),
    apiKey({ store, pepper: randomBytes(32).toString('base64') }),
    mtls({ ca, certificate: 'Client-Cert' }),
    basic({ users: { ann: await hashPassword('correct horse') }, store, allowInsecureLoopback: true }),
    session({ store }),
  ],
  cors: { origins: ['https://app.example.com'] },
  rateLimit: { limit: 1_000_000 },
  trustProxy: 2,
  audit: { logger: silent },
  mask: { '**.password': 'redact' },
  log: silent,
  routes: {
    'POST /open': { validate: { body: anything } },
    'POST /closed': { validate: { body: order } },
    'GET /parts': { validate: { query: texts, cookies: texts, headers: { type: 'object' } } },
  },
})
await api.ready()
const { port } = await listen(
  api.protect((_req, res) => {
    res.setHeader('Content-Type', 'application/json')
    res.json({ ok: true })
  }),
)

let longest = 0
let last
let watching = false

/**
 * By the clock and by the processor: what others on this machine take away is on the clock only, what helper threads do
 * beside the loop is on the processor only, so the smaller of both is nearer to the truth and never below it.
 */
const now = () => {
  const { user, system } = process.cpuUsage()
  return { wall: performance.now(), cpu: (user + system) / 1_000 }
}
const turn = () => {
  const { wall, cpu } = now()
  longest = Math.max(longest, Math.min(wall - last.wall, cpu - last.cpu))
  last = { wall, cpu }
  if (watching) setImmediate(turn)
}

process.on('message', ({ watch, report, text }) => {
  if (watch) {
    watching = true
    longest = 0
    last = now()
    setImmediate(turn)
  }
  if (report) {
    watching = false
    process.send({ longest })
  }
  if (text !== undefined) {
    const start = now()
    JSON.parse(text)
    const end = now()
    process.send({ parse: Math.min(end.wall - start.wall, end.cpu - start.cpu) })
  }
})
process.send({ port, token: issuer.mint() })
