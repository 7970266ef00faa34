// An API with 50 schemas, of the sizes that orders have.
import { createServer } from 'node:http'
import { once } from 'node:events'
import { generateKeyPairSync } from 'node:crypto'
import { bearer, secureApi } from '../dist/index.js'

const item = (i) => ({
  type: 'object',
  additionalProperties: false,
  required: ['sku', 'quantity'],
  properties: {
    sku: { type: 'string', pattern: '^[A-Z0-9-]{1,20}$' },
    quantity: { type: 'integer', minimum: 1, maximum: 1_000 + i },
  },
})
const items = (i) => ({ type: 'array', minItems: 1, maxItems: 50, items: item(i) })

/** Bodies, a query, a path: what half of a real API's operations declare. */
const KINDS = [
  (i) => ({
    body: {
      type: 'object',
      required: ['customer', 'items'],
      properties: {
        customer: {
          type: 'object',
          additionalProperties: false,
          required: ['name', 'email'],
          properties: {
            name: { type: 'string', minLength: 1, maxLength: 100 + i },
            email: { type: 'string', format: 'email', maxLength: 254 },
          },
        },
        items: items(i),
      },
    },
  }),
  (i) => ({ body: { type: 'object', required: ['items'], properties: { items: items(i) } } }),
  (i) => ({
    params: { type: 'object', properties: { id: { type: 'string', pattern: `^o-[0-9]{1,${9 + i}}$` } } },
  }),
  (i) => ({
    query: {
      type: 'object',
      properties: {
        status: { enum: ['open', 'cancelled'] },
        limit: { type: 'integer', minimum: 1, maximum: 100 + i, default: 20 },
      },
    },
  }),
]

/**
 * Resolves to the API when it listens.
 *
 * @param {typeof import('express')} express the one that the process has: beside this file stands another copy, for the rivals
 */
export async function start(express) {
  const routes = Object.fromEntries(
    Array.from({ length: 50 }, (_, i) => [`POST /things-${i}/:id`, { validate: KINDS[i % KINDS.length](i) }]),
  )
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const api = secureApi({
    auth: [bearer({ issuer: 'https://id.example.com', audience: 'orders', keys: [publicKey] })],
    routes,
  })
  const server = createServer(api.protect(express()))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return api
}
