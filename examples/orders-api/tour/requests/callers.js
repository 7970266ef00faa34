// Who is calling, by other means: tokens that are bound to a key, keys of partners, and a password.
import { bearing } from './parts.js'

/** @param {import('../requests.js').Callers} callers @returns {import('../requests.js').TourRequest[]} */
export function callersRequests({ tokens, bound, key, password }) {
  const as = bearing(tokens)
  const used = bound.fields('GET', '/admin/cards')

  return [
    {
      protection: 'auth',
      shows: 'a token that is bound to a key, with a proof',
      path: '/admin/cards',
      headers: used,
      status: 200,
      stage: 'auth',
      rule: 'token',
    },
    {
      protection: 'auth',
      shows: 'the same proof again, recorded by somebody',
      path: '/admin/cards',
      headers: used,
      status: 401,
      stage: 'auth',
      rule: 'dpop-replayed',
    },
    {
      protection: 'auth',
      shows: 'a proof for another URL',
      path: '/admin/cards',
      headers: bound.fields('GET', '/orders'),
      status: 401,
      stage: 'auth',
      rule: 'dpop-url',
    },
    {
      protection: 'auth',
      shows: 'a bound token that was stolen',
      token: bound.token,
      path: '/orders',
      status: 401,
      stage: 'auth',
      rule: 'token-bound',
    },
    {
      protection: 'auth',
      shows: 'a token that is bound to nothing, where it must be',
      ...as('admin'),
      path: '/admin/cards',
      status: 401,
      stage: 'auth',
      rule: 'token-unbound',
    },
    {
      protection: 'auth',
      shows: 'a partner with a key',
      brief: true,
      path: '/partner/orders',
      headers: { 'X-API-Key': key },
      status: 200,
      stage: 'auth',
      rule: 'api-key',
    },
    {
      protection: 'auth',
      shows: 'a key with a typing error',
      path: '/partner/orders',
      headers: { 'X-API-Key': `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}` },
      status: 401,
      stage: 'auth',
      rule: 'api-key-malformed',
      reply: ({ headers }) => headers['www-authenticate'].includes('error="invalid_key"'),
    },
    {
      protection: 'auth',
      shows: 'a token where only a key counts',
      ...as('admin'),
      path: '/partner/orders',
      status: 401,
      stage: 'auth',
    },
    {
      protection: 'auth',
      shows: 'a key and a token at once',
      ...as('clerk'),
      path: '/orders',
      headers: { 'X-API-Key': key },
      status: 400,
      stage: 'auth',
      rule: 'credentials-several',
    },
    {
      protection: 'auth',
      shows: 'a scraper with its password',
      brief: true,
      path: '/metrics',
      headers: { Authorization: basic('scraper', password) },
      status: 200,
      stage: 'auth',
      rule: 'password',
    },
    {
      protection: 'auth',
      shows: 'a wrong password, and a name that nobody has, are one',
      path: '/metrics',
      headers: { Authorization: basic('nobody', password) },
      status: 401,
      stage: 'auth',
      rule: 'basic-wrong',
    },
  ]
}

function basic(name, secret) {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
}
