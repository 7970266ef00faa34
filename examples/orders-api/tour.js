// Sends every request of requests.js, and does some things that no request can do, and compares with what is promised.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ordersApi } from './api.js'
import { auditTrail } from './audit-trail.js'
import { boundClient } from './bound-client.js'
import { forgeries } from './forgeries.js'
import { partnerKeys } from './partner-keys.js'
import { probe } from './probe.js'
import { AUDIENCE, startProvider, tokensOf } from './provider.js'
import { tourRequests } from './requests.js'
import { metricsScraper } from './scraper.js'
import { print } from './table.js'
import { trailRows } from './tamper.js'

/** What the orders hold. */
const PERSONAL = ['alan@example.com', '5555555555554444', 'grace@example.com', '4242424242424242']
const SILENT = { info() {}, warn() {}, error() {} }

/** Verdicts that end a request. If there is none, the stage that the row is about is shown. */
const ENDINGS = ['refused', 'answered', 'failed']

/** @returns whether everything came out as promised */
export async function tour() {
  const folder = mkdtempSync(join(tmpdir(), 'orders-api-'))
  try {
    const trail = auditTrail(folder)
    const { rows, secrets } = await requestsAnswered(trail)
    rows.push(await providerAway(), ...(await trailRows(trail, folder, secrets)))
    print(rows)
    return rows.every(({ broken }) => broken.length === 0)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function requestsAnswered(trail) {
  const provider = await startProvider()
  const tokens = await tokensOf(provider)
  const { settings: keys, partnerKey } = partnerKeys()
  const key = await partnerKey()
  const bound = await boundClient(provider)
  const scraper = metricsScraper()
  const { api, handler } = ordersApi({
    issuer: provider.issuer,
    audience: AUDIENCE,
    keys,
    scraper: scraper.hash,
    audit: trail.settings,
    trace: true,
  })
  await api.ready()
  const { send, close } = await probe(handler)

  const rows = []
  const requests = tourRequests(tokens, forgeries(tokens.clerk, provider), key, bound, scraper.password)
  for (const request of requests) {
    let sent = 1
    let reply = await send(request)
    for (; sent < (request.times ?? 1) && reply.status < 300; sent++) reply = await send(request)
    rows.push(compared(request, reply, sent))
  }
  await close()
  await api.close()
  await provider.close()
  return { rows, secrets: [...Object.values(tokens), bound.token, key, scraper.password, ...PERSONAL] }
}

/** A provider that cannot be reached is no bad caller: 503, not 401. */
async function providerAway() {
  const provider = await startProvider()
  const token = await provider.token('clerk')
  await provider.close()

  const { api, handler } = ordersApi({
    issuer: provider.issuer,
    audience: AUDIENCE,
    keys: partnerKeys().settings,
    scraper: metricsScraper().hash,
    audit: false,
    log: SILENT,
    trace: true,
  })
  const { send, close } = await probe(handler)
  const request = {
    protection: 'auth',
    shows: 'the identity provider is away',
    path: '/orders',
    token,
    status: 503,
    stage: 'auth',
    reply: ({ headers }) => headers['retry-after'] >= 1,
  }
  const row = compared(request, await send(request), 1)
  await close()
  await api.close()
  return row
}

function compared({ protection, shows, method = 'GET', path, ...promise }, { trace, ...reply }, sent) {
  const decided =
    trace.find(({ verdict }) => ENDINGS.includes(verdict)) ??
    trace.find(({ stage }) => stage === promise.stage)
  return {
    protection,
    shows,
    request: `${method} ${path.replace(/=ey.*/, '=...')}${sent > 1 ? ` x ${sent}` : ''}`,
    status: reply.status,
    stage: decided?.stage ?? '(nobody)',
    why: (decided?.verdict === 'shaped' ? decided.why : decided?.rule) ?? '',
    micros: trace.reduce((sum, { micros }) => sum + micros, 0),
    broken: [
      reply.status !== promise.status && `status ${promise.status}`,
      decided?.stage !== promise.stage && `decided by ${promise.stage}`,
      promise.rule !== undefined && decided?.rule !== promise.rule && `because of ${promise.rule}`,
      promise.reply !== undefined && !holds(promise.reply, reply) && `that the reply fits: ${promise.reply}`,
    ].filter(Boolean),
  }
}

/** A reply without the member that is looked at breaks the promise as well. */
function holds(promise, reply) {
  try {
    return promise(reply)
  } catch {
    return false
  }
}
