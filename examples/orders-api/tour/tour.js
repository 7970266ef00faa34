// Sends every request of requests.js, lets people log in, does some things that no request can do, and compares with what is promised.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ordersApi } from '../api.js'
import { auditTrail } from '../audit-trail.js'
import { login } from '../login.js'
import { partnerKeys } from '../partner-keys.js'
import { AUDIENCE, startProvider, tokensOf } from '../provider.js'
import { metricsScraper } from '../scraper.js'
import { boundClient } from './bound-client.js'
import { compared } from './compare.js'
import { forgeries } from './forgeries.js'
import { peopleRows } from './people.js'
import { probe } from './probe.js'
import { tourRequests } from './requests.js'
import { print } from './table.js'
import { trailRows } from './tamper.js'

/** What the orders hold. */
const PERSONAL = ['alan@example.com', '5555555555554444', 'grace@example.com', '4242424242424242']
const SILENT = { info() {}, warn() {}, error() {} }

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
  const { origin, serve, send, close } = await probe()
  const provider = await startProvider(origin)
  const tokens = await tokensOf(provider)
  const { settings: keys, partnerKey } = partnerKeys()
  const key = await partnerKey()
  const bound = await boundClient(provider)
  const scraper = metricsScraper()
  const { password } = scraper
  const people = login({ issuer: provider.issuer, client: provider.client, origin })
  const { api, handler } = ordersApi({
    issuer: provider.issuer,
    audience: AUDIENCE,
    people,
    keys,
    scraper: scraper.hash,
    audit: trail.settings,
    trace: true,
  })
  await Promise.all([api.ready(), people.ready()])
  serve(handler)

  const shown = await peopleRows(send, origin, provider)
  const rows = []
  const callers = { tokens, forged: forgeries(tokens.clerk, provider), key, bound, password }
  for (const request of tourRequests(callers)) {
    let sent = 1
    let reply = await send(request)
    for (; sent < (request.times ?? 1) && reply.status < 300; sent++) reply = await send(request)
    rows.push(compared(request, reply, sent))
  }
  await close()
  await api.close()
  await people.close()
  await provider.close()
  const secrets = [...Object.values(tokens), bound.token, key, password, ...shown.secrets, ...PERSONAL]
  return { rows: [...rows, ...shown.rows], secrets }
}

/** A provider that cannot be reached is no bad caller: 503, not 401. */
async function providerAway() {
  const { origin, serve, send, close } = await probe()
  const provider = await startProvider(origin)
  const token = await provider.token('clerk')
  await provider.close()

  const { issuer, client } = provider
  const people = login({ issuer, client, origin })
  const { api, handler } = ordersApi({
    issuer,
    audience: AUDIENCE,
    people,
    keys: partnerKeys().settings,
    scraper: metricsScraper().hash,
    audit: false,
    log: SILENT,
    trace: true,
  })
  serve(handler)
  const request = {
    protection: 'auth',
    shows: 'the identity provider is away',
    path: '/orders',
    token,
    status: 503,
    stage: 'auth',
    reply: ({ headers }) => headers['retry-after'] >= 1,
  }
  const row = compared(request, await send(request))
  await close()
  await api.close()
  await people.close()
  return row
}
