// npm start                     serves the API until Ctrl-C
// npm start -- --tour           sends requests to it, shows what becomes of them, and exits
// npm start -- --verify-audit   says whether the audit trail is what was written
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { ordersApi } from './api.js'
import { auditTrail } from './audit-trail.js'
import { login } from './login.js'
import { partnerKeys } from './partner-keys.js'
import { AUDIENCE, startProvider, tokensOf } from './provider.js'
import { metricsScraper } from './scraper.js'
import { boundClient } from './tour/bound-client.js'
import { curl } from './tour/curl.js'
import { forgeries } from './tour/forgeries.js'
import { tourRequests } from './tour/requests.js'
import { tour } from './tour/tour.js'

const FOLDER = fileURLToPath(new URL('var', import.meta.url))

if (process.argv.includes('--tour')) process.exitCode = (await tour()) ? 0 : 1
else if (process.argv.includes('--verify-audit')) console.log(await auditTrail(FOLDER).verify())
else await serve(Number(process.env.PORT ?? 3000))

async function serve(port) {
  // First of all the port, because the provider has to be told where it shall send browsers back to.
  const server = createServer()
  await once(server.listen(port, '127.0.0.1'), 'listening')
  // Not 127.0.0.1: passkeys belong to a name.
  const origin = `http://localhost:${server.address().port}`
  const provider = await startProvider(origin)
  const { issuer, client } = provider
  const people = login({ issuer, client, origin })
  const { settings: keys, partnerKey } = partnerKeys()
  const scraper = metricsScraper()
  const { api, app, handler } = ordersApi({
    issuer,
    audience: AUDIENCE,
    people,
    keys,
    scraper: scraper.hash,
    audit: auditTrail(FOLDER).settings,
  })
  await Promise.all([api.ready(), people.ready()])
  server.on('request', handler)

  console.log(`Orders API on ${origin}, identity provider on ${issuer}, audit trail in ${FOLDER}\n`)
  console.log(
    '# sso, session, webauthn, totp: log in as tess, with any password, register a passkey, and pay',
  )
  console.log(`Open ${origin} in a browser\n`)

  const tokens = await tokensOf(provider)
  const bound = await boundClient(provider)
  const forged = forgeries(tokens.clerk, provider)
  const { password } = scraper
  for (const request of tourRequests({ tokens, forged, key: await partnerKey(), bound, password })) {
    if (!request.brief) continue
    console.log(`# ${request.protection}: ${request.shows} -> ${request.status}`)
    console.log(`${curl(origin, request)}\n`)
  }
  console.log(
    '# audit: what was written is what is there (in another terminal)\nnpm start -- --verify-audit\n',
  )

  console.log('POST /orders meets, in this order:')
  for (const { stage, door } of api.explain('POST /orders')) console.log(`  ${stage.padEnd(10)} ${door}`)

  console.log('  and what the guard before its handler adds: validate')

  console.log('\nTo know before production:')
  for (const { code, cause, fix } of api.check(app)) console.log(`  ${code}: ${cause}; ${fix}`)

  /** Requests under way are finished, then the audit trail is closed. */
  async function shutDown() {
    server.close()
    server.closeIdleConnections()
    await once(server, 'close')
    await api.close()
    await people.close()
    await provider.close()
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void shutDown())
}
