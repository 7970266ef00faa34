// The fastest parts there are, wired by hand with care: static header fields, tokens verified once and then remembered, a
// log that is written in the background, masking compiled ahead.
import { createPublicKey, randomUUID } from 'node:crypto'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import express from 'express'
import { createVerifier } from 'fast-jwt'
import fastRedact from 'fast-redact'
import pino from 'pino'
import { RateLimiterMemory } from 'rate-limiter-flexible'
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
import { SECURITY_HEADERS } from './security-headers.mjs'

export async function listener({ jwksUri, log }) {
  const logger = pino({ base: null }, pino.destination({ dest: log, sync: false, minLength: 4096 }))
  const verify = createVerifier({
    key: await publicKey(jwksUri),
    algorithms: ['RS256'],
    allowedIss: ISSUER,
    allowedAud: AUDIENCE,
    requiredClaims: ['exp', 'sub'],
    cache: 10_000,
  })
  const byAddress = new RateLimiterMemory({ points: IP_LIMIT, duration: WINDOW_MS / 1000 })
  const byUser = new RateLimiterMemory({ points: USER_LIMIT, duration: WINDOW_MS / 1000 })
  const ajv = formats(new Ajv(), { mode: 'fast' })

  const enter = (req, res, next) => {
    req.id = randomUUID()
    const started = performance.now()
    res.on('finish', () =>
      logger.info({
        id: req.id,
        method: req.method,
        path: req.path,
        status: res.statusCode,
        ip: req.ip,
        subject: req.user?.sub,
        ms: performance.now() - started,
      }),
    )
    res.setHeader('X-Request-Id', req.id)
    for (const [name, value] of SECURITY_HEADERS) res.setHeader(name, value)
    res.setHeader('Vary', 'Origin')
    if (req.headers.origin === ORIGIN) res.setHeader('Access-Control-Allow-Origin', ORIGIN)
    next()
  }
  const limitBy = (limiter, keyOf) => (req, res, next) =>
    limiter.consume(keyOf(req)).then(
      ({ remainingPoints, msBeforeNext }) => {
        res.setHeader('RateLimit', `"default";r=${remainingPoints};t=${Math.ceil(msBeforeNext / 1000)}`)
        next()
      },
      ({ msBeforeNext }) => {
        res.setHeader('Retry-After', Math.ceil(msBeforeNext / 1000))
        refuse(res, 429, 'Too many requests.')
      },
    )
  const authenticate = (req, res, next) => {
    const { authorization = '' } = req.headers
    if (!authorization.startsWith('Bearer ')) return challenge(res, 'Bearer')
    try {
      req.user = verify(authorization.slice(7))
    } catch {
      return challenge(res, 'Bearer error="invalid_token"')
    }
    next()
  }

  const app = express()
  app.set('trust proxy', 1)
  app.use(
    enter,
    limitBy(byAddress, (req) => req.ip),
    authenticate,
    limitBy(byUser, (req) => req.user.sub),
  )
  app.get('/orders/:id', needs('orders:read'), validate('params', ajv.compile(ORDER_PARAMS)), (req, res) =>
    sendMasked(res, readOrder(req.params.id)),
  )
  app.post(
    '/orders',
    needs('orders:create'),
    express.json(),
    validate('body', ajv.compile(ORDER_BODY)),
    (req, res) => sendMasked(res.status(201), storeOrder(req.body)),
  )
  return app
}

/** Fetched and parsed once: asked for anew on each request, the key would cost more than the verification. */
export async function publicKey(jwksUri) {
  const { keys } = await (await fetch(jwksUri)).json()
  return createPublicKey({ key: keys[0], format: 'jwk' }).export({ type: 'spki', format: 'pem' })
}

function refuse(res, status, title) {
  res.status(status).json({ status, title })
}

function challenge(res, value) {
  res.setHeader('WWW-Authenticate', value)
  refuse(res, 401, 'Authentication is required.')
}

function needs(scope) {
  return (req, res, next) => {
    if (req.user.scope.split(' ').includes(scope)) return next()
    refuse(res, 403, 'The access token lacks a required scope.')
  }
}

function validate(part, check) {
  return (req, res, next) => {
    if (check(req[part])) return next()
    refuse(res, 422, 'The request is not valid.')
  }
}

export const redact = fastRedact({
  paths: Object.keys(MASK),
  censor(value, path) {
    switch (MASK[path.join('.')]) {
      case 'last4':
        return `****${value.slice(-4)}`
      case 'email':
        return `${value[0]}***${value.slice(value.indexOf('@'))}`
      default:
        return '[redacted]'
    }
  },
})

function sendMasked(res, body) {
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.send(redact(body))
}
