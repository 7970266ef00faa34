// One of several processes that use up one limit together: says when it is ready, begins when told to, and says what it got.
import { once } from 'node:events'
import { secureApi } from 'secure-api'
import { redis } from 'secure-api/stores/redis'
import { flood, listen } from './http.mjs'
import { drivers } from './redis-server.mjs'

const [driver, port, algorithm] = process.argv.slice(2)
const client = await drivers[driver](Number(port))
const api = secureApi({
  auth: false,
  audit: false,
  store: redis(client),
  // A process that is busy must not look like an outage, after which it would count for itself.
  storeTimeoutMs: 10_000,
  rateLimit: { name: algorithm, algorithm, limit: 1_000, windowMs: 366 * 86_400_000 },
})
const http = await listen(api.protect((_req, res) => res.end()))
process.once('disconnect', () => process.exit())
process.send('ready')
await once(process, 'message')
process.send(await flood(http.port, 1_000, undefined, 50))
