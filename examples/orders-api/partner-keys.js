// API keys of partners, in memory. In production: redis(client) or postgres(pool), and a pepper from where your secrets are.
import { randomBytes } from 'node:crypto'
import { apiKeys, memory } from 'secure-api'

export function partnerKeys() {
  const settings = { store: memory(), pepper: randomBytes(32), prefix: 'orders' }
  const desk = apiKeys(settings)

  /** A key for one partner, for a month. It is shown once, here. */
  async function partnerKey() {
    const month = 30 * 86_400_000
    const { key } = await desk.create({ owner: 'partner-7', scopes: ['orders:read'], lifetimeMs: month })
    return key
  }

  return { settings, partnerKey }
}
