// Fastify 5 with its own plugins: another framework, not an Express application.
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import { fastify, LogController } from 'fastify'
import pino from 'pino'
import {
  AUDIENCE,
  IP_LIMIT,
  ISSUER,
  ORDER_BODY,
  ORDER_PARAMS,
  ORIGIN,
  readOrder,
  storeOrder,
  USER_LIMIT,
  WINDOW_MS,
} from '../world.mjs'
import { publicKey, redact } from './best.mjs'

export async function listener({ jwksUri, log }) {
  const app = fastify({
    // A number of hops would be ignored.
    trustProxy: '127.0.0.1',
    logController: new LogController({ disableRequestLogging: true }),
    loggerInstance: pino({ base: null }, pino.destination({ dest: log, sync: false, minLength: 4096 })),
    requestIdHeader: false,
  })
  await app.register(helmet)
  await app.register(cors, { origin: [ORIGIN] })
  await app.register(jwt, {
    secret: { public: await publicKey(jwksUri) },
    verify: { algorithms: ['RS256'], allowedIss: ISSUER, allowedAud: AUDIENCE, cache: 10_000 },
  })
  await app.register(rateLimit, { global: false, cache: 20_000 })
  const limitUser = app.createRateLimit({
    max: USER_LIMIT,
    timeWindow: WINDOW_MS,
    keyGenerator: (request) => request.user.sub,
  })
  app.setReplySerializer((body) => redact(body))
  app.addHook('onRequest', app.rateLimit({ max: IP_LIMIT, timeWindow: WINDOW_MS }))
  app.addHook('onRequest', (request) => request.jwtVerify())
  app.addHook('onRequest', async (request, reply) => {
    const { isExceeded } = await limitUser(request)
    if (isExceeded) return reply.code(429).send({ status: 429 })
  })
  app.addHook('onSend', async (request, reply) => void reply.header('X-Request-Id', request.id))
  app.addHook('onResponse', async (request, reply) => {
    request.log.info({
      method: request.method,
      path: request.url,
      status: reply.statusCode,
      ip: request.ip,
      subject: request.user?.sub,
      ms: reply.elapsedTime,
    })
  })

  app.get(
    '/orders/:id',
    { schema: { params: ORDER_PARAMS }, preHandler: needs('orders:read') },
    async (request) => readOrder(request.params.id),
  )
  app.post(
    '/orders',
    { schema: { body: ORDER_BODY }, preHandler: needs('orders:create') },
    async (request, reply) => {
      reply.code(201)
      return storeOrder(request.body)
    },
  )
  await app.ready()
  return (req, res) => app.routing(req, res)
}

function needs(scope) {
  return async (request, reply) => {
    if (!request.user.scope.split(' ').includes(scope)) return reply.code(403).send({ status: 403 })
  }
}
