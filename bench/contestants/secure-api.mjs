// secureApi() with every protection on.
import express from 'express'
import { bearer, secureApi } from '../../dist/index.js'
import {
  AUDIENCE,
  IP_LIMIT,
  ISSUER,
  MASK,
  ORDER_BODY,
  ORDER_PARAMS,
  ORIGIN,
  readOrder,
  storeOrder,
  USER_LIMIT,
  WINDOW_MS,
} from '../world.mjs'

export function listener({ jwksUri, log }, door) {
  const method = bearer({ issuer: ISSUER, audience: AUDIENCE, jwksUri, allowInsecureLoopback: true })
  return protectedBy([method], log, door)
}

/** Everything on, and these ways to know who is calling. */
export async function protectedBy(auth, log, door) {
  const api = secureApi({
    trustProxy: 1,
    requestId: true,
    audit: { file: log },
    headers: true,
    cors: { origins: [ORIGIN] },
    firewall: true,
    rateLimit: { limit: IP_LIMIT, windowMs: WINDOW_MS },
    auth,
    rbac: {},
    quota: { limit: USER_LIMIT, windowMs: WINDOW_MS },
    body: true,
    validate: {},
    mask: MASK,
    routes: {
      'GET /orders/:id': { rbac: { scope: 'orders:read' }, validate: { params: ORDER_PARAMS } },
      'POST /orders': { rbac: { scope: 'orders:create' }, validate: { body: ORDER_BODY } },
    },
  })
  await api.ready()

  const app = express()
  if (door === 'use') app.use(api)
  app.get('/orders/:id', (req, res) => res.json(readOrder(req.params.id)))
  app.post('/orders', (req, res) => res.status(201).json(storeOrder(req.body)))
  app.use(api.errors())
  return door === 'use' ? app : api.protect(app)
}
