// What tutorials put together: one well-known package per job, in the order their pages give.
import { randomUUID } from 'node:crypto'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import cors from 'cors'
import express from 'express'
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer'
import { rateLimit } from 'express-rate-limit'
import helmet from 'helmet'
import winston from 'winston'
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

export function listener({ jwksUri, log }) {
  const { combine, timestamp, json } = winston.format
  const logger = winston.createLogger({
    format: combine(timestamp(), json()),
    transports: [new winston.transports.File({ filename: log })],
  })
  const ajv = formats(new Ajv())

  const app = express()
  app.set('trust proxy', 1)
  app.use(requestId)
  app.use(logTo(logger))
  app.use(helmet())
  app.use(cors({ origin: [ORIGIN] }))
  app.use(
    rateLimit({ windowMs: WINDOW_MS, limit: IP_LIMIT, standardHeaders: 'draft-8', legacyHeaders: false }),
  )
  app.use(auth({ issuer: ISSUER, jwksUri, audience: AUDIENCE, tokenSigningAlg: 'RS256' }))
  app.use(
    rateLimit({
      windowMs: WINDOW_MS,
      limit: USER_LIMIT,
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      keyGenerator: (req) => req.auth.payload.sub,
    }),
  )
  app.use(express.json())
  app.use(maskReplies)
  app.get(
    '/orders/:id',
    requiredScopes('orders:read'),
    validate('params', ajv.compile(ORDER_PARAMS)),
    (req, res) => res.json(readOrder(req.params.id)),
  )
  app.post(
    '/orders',
    requiredScopes('orders:create'),
    validate('body', ajv.compile(ORDER_BODY)),
    (req, res) => res.status(201).json(storeOrder(req.body)),
  )
  // eslint-disable-next-line no-unused-vars -- Express tells error middleware by its four parameters
  app.use((error, req, res, _next) => {
    const status = error.status ?? 500
    res
      .set(error.headers ?? {})
      .status(status)
      .json({ status, title: error.message })
  })
  return app
}

function requestId(req, res, next) {
  req.id = randomUUID()
  res.setHeader('X-Request-Id', req.id)
  next()
}

function logTo(logger) {
  return (req, res, next) => {
    const started = performance.now()
    res.on('finish', () => {
      logger.info('request', {
        id: req.id,
        method: req.method,
        path: req.path,
        route: req.route?.path,
        status: res.statusCode,
        ip: req.ip,
        subject: req.auth?.payload.sub,
        ms: performance.now() - started,
      })
    })
    next()
  }
}

function validate(part, check) {
  return (req, res, next) => {
    if (check(req[part])) return next()
    res.status(422).json({ status: 422, title: 'The request is not valid.', errors: check.errors })
  }
}

function maskReplies(req, res, next) {
  const json = res.json.bind(res)
  res.json = (body) => {
    const copy = structuredClone(body)
    mask(copy, '')
    return json(copy)
  }
  next()
}

const STYLES = {
  redact: () => '[redacted]',
  last4: (value) => `****${value.slice(-4)}`,
  email: (value) => `${value[0]}***${value.slice(value.indexOf('@'))}`,
}

function mask(value, path) {
  for (const key of Object.keys(value)) {
    const at = path === '' ? key : `${path}.${key}`
    if (typeof value[key] === 'object' && value[key] !== null) mask(value[key], at)
    else if (MASK[at] !== undefined) value[key] = STYLES[MASK[at]](value[key])
  }
}
