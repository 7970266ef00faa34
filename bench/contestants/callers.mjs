// secureApi() with every protection on, and every way to know callers that is good for many requests.
import { ServerResponse } from 'node:http'
import { randomBytes } from 'node:crypto'
import { apiKey, apiKeys, bearer, introspection, memory, session } from '../../dist/index.js'
import { AUDIENCE, BASE, ISSUER, WARM } from '../world.mjs'
import { protectedBy } from './secure-api.mjs'

const SCOPE = 'orders:read'

/** What callers have to send, which only the server can make. */
export const credentials = { key: [], session: [] }

export async function listener({ jwksUri, log }, door) {
  const store = memory()
  const pepper = randomBytes(32)
  const sessions = session({ store })
  const desk = apiKeys({ store, pepper })
  for (let i = 0; i < WARM; i++) {
    const { key } = await desk.create({ owner: `user-${i}`, scopes: [SCOPE] })
    credentials.key.push(key)
    credentials.session.push(await cookieOf(sessions, `user-${i}`))
  }
  const dpop = { mode: 'allowed', baseUrls: BASE, store }
  const trust = { issuer: ISSUER, audience: AUDIENCE, allowInsecureLoopback: true }
  const endpoint = new URL('/introspect', jwksUri).href
  const methods = [
    bearer({ ...trust, jwksUri, dpop }),
    introspection({ ...trust, endpoint, clientId: 'api', clientSecret: 'bench' }),
    apiKey({ store, pepper }),
    sessions,
  ]
  return protectedBy(methods, log, door)
}

async function cookieOf(sessions, subject) {
  const res = new ServerResponse({ method: 'POST' })
  await sessions.login({ headers: {} }, res, { subject, claims: { scope: SCOPE }, factors: ['pwd'] })
  return [res.getHeader('Set-Cookie')].flat()[0].split(';')[0]
}
