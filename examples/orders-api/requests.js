// The requests of the tour: what is sent, and what is promised. `npm start` prints one of each protection as curl.

const ORDER = {
  customer: { name: 'Grace Hopper', email: 'grace@example.com' },
  card: '4242424242424242',
  items: [{ sku: 'MOTH-1', quantity: 2 }],
}
const SHOP = 'https://shop.example.com'

/**
 * One line of the tour.
 * @typedef {object} TourRequest
 * @property {string} protection what it shows
 * @property {string} shows in words
 * @property {string} [as] whose token is sent
 * @property {string} [token]
 * @property {string} [method] default GET
 * @property {string} path
 * @property {Record<string, string | string[]>} [headers]
 * @property {object | string} [body] text is sent as it is
 * @property {number} [times] how often, at most, until the promise comes true; others must be answered 2xx
 * @property {true} [brief] one of those that `npm start` prints
 * @property {number} status promised
 * @property {string} stage the one that decides, as promised
 * @property {string} [rule] of that stage
 * @property {(reply: { body: any, headers: Record<string, string> }) => boolean} [reply] what else is promised
 */

/**
 * @param {Record<'visitor' | 'clerk' | 'manager' | 'admin' | 'billing' | 'elsewhere', string>} tokens real ones
 * @param {ReturnType<import('./forgeries.js').forgeries>} forged
 * @param {string} key of a partner
 * @returns {TourRequest[]}
 */
export function tourRequests(tokens, forged, key) {
  const as = (name) => ({ as: name, token: tokens[name] })
  const create = (body) => ({ method: 'POST', path: '/orders', body })

  return [
    {
      protection: 'headers',
      shows: 'security headers on every reply',
      path: '/health',
      status: 200,
      stage: 'public',
      reply: ({ headers }) =>
        headers['content-security-policy'] === "default-src 'none';frame-ancestors 'none'" &&
        headers['x-content-type-options'] === 'nosniff' &&
        headers['x-powered-by'] === undefined,
    },
    {
      protection: 'headers',
      shows: 'also on refusals, which nobody may store',
      brief: true,
      path: '/orders',
      status: 401,
      stage: 'auth',
      reply: ({ headers }) =>
        headers['strict-transport-security'] !== undefined && headers['cache-control'] === 'no-store',
    },
    {
      protection: 'requestId',
      shows: 'a trace that began elsewhere goes on',
      brief: true,
      path: '/health',
      headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
      status: 200,
      stage: 'public',
      reply: ({ headers }) =>
        headers.traceparent.includes('4bf92f3577b34da6a3ce929d0e0e4736') &&
        headers['x-request-id'].length > 8,
    },
    {
      protection: 'cors',
      shows: 'a preflight from the shop',
      brief: true,
      method: 'OPTIONS',
      path: '/orders',
      headers: { Origin: SHOP, 'Access-Control-Request-Method': 'POST' },
      status: 204,
      stage: 'cors',
      rule: 'listed-origin',
      reply: ({ headers }) => headers['access-control-allow-origin'] === SHOP,
    },
    {
      protection: 'cors',
      shows: 'a preflight from somewhere else',
      method: 'OPTIONS',
      path: '/orders',
      headers: { Origin: 'https://evil.example.net', 'Access-Control-Request-Method': 'POST' },
      status: 403,
      stage: 'cors',
      rule: 'unlisted-origin',
      reply: ({ headers }) => headers['access-control-allow-origin'] === undefined,
    },
    {
      protection: 'firewall',
      shows: 'an encoded slash, to be read in two ways',
      brief: true,
      ...as('clerk'),
      path: '/health/..%2forders',
      status: 400,
      stage: 'firewall',
    },
    {
      protection: 'firewall',
      shows: 'a dot segment behind a public path',
      path: '/health/../orders',
      status: 400,
      stage: 'firewall',
      rule: 'dot-segment',
    },
    {
      protection: 'firewall',
      shows: 'a method nobody listed',
      method: 'TRACE',
      path: '/orders',
      status: 405,
      stage: 'firewall',
    },
    {
      protection: 'auth',
      shows: 'a clerk with a real token',
      brief: true,
      ...as('clerk'),
      path: '/orders',
      status: 200,
      stage: 'auth',
    },
    {
      protection: 'auth',
      shows: 'nobody',
      path: '/orders/o-1001',
      status: 401,
      stage: 'auth',
      rule: 'no-credential',
    },
    {
      protection: 'auth',
      shows: 'nobody, on a path nobody listed',
      path: '/secrets',
      status: 401,
      stage: 'auth',
    },
    {
      protection: 'auth',
      shows: 'claims changed behind the signature',
      brief: true,
      ...{ as: 'changed', token: forged.changed },
      path: '/orders',
      status: 401,
      stage: 'auth',
      rule: 'token-signature',
      reply: ({ headers }) => headers['www-authenticate'].includes('error="invalid_token"'),
    },
    {
      protection: 'auth',
      shows: "signed by a stranger's key",
      ...{ as: 'stranger', token: forged.stranger },
      path: '/orders',
      status: 401,
      stage: 'auth',
      rule: 'token-signature',
    },
    {
      protection: 'auth',
      shows: 'alg none, and no signature',
      ...{ as: 'none', token: forged.none },
      path: '/orders',
      status: 401,
      stage: 'auth',
      rule: 'token-malformed',
    },
    {
      protection: 'auth',
      shows: 'HMAC under the public key',
      ...{ as: 'confused', token: forged.confused },
      path: '/orders',
      status: 401,
      stage: 'auth',
      rule: 'token-algorithm',
    },
    {
      protection: 'auth',
      shows: 'expired an hour ago',
      ...{ as: 'expired', token: forged.expired },
      path: '/orders',
      status: 401,
      stage: 'auth',
      rule: 'token-expired',
    },
    {
      protection: 'auth',
      shows: 'no access token but another kind',
      ...{ as: 'other kind', token: forged.otherKind },
      path: '/orders',
      status: 401,
      stage: 'auth',
      rule: 'token-type',
    },
    {
      protection: 'auth',
      shows: 'an admin, of another API',
      ...as('elsewhere'),
      path: '/admin/report',
      status: 401,
      stage: 'auth',
      rule: 'token-audience',
    },
    {
      protection: 'auth',
      shows: 'two credentials at once',
      path: '/orders',
      headers: { Authorization: [`Bearer ${tokens.clerk}`, `Bearer ${tokens.admin}`] },
      status: 400,
      stage: 'auth',
      rule: 'authorization-twice',
    },
    {
      protection: 'auth',
      shows: 'a token in the URL is not read',
      path: `/orders?access_token=${tokens.admin}`,
      status: 401,
      stage: 'auth',
      rule: 'no-credential',
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
      protection: 'rbac',
      shows: 'a key is no role: partners read their own route',
      path: '/orders',
      headers: { 'X-API-Key': key },
      status: 403,
      stage: 'rbac',
    },
    {
      protection: 'rbac',
      shows: 'a clerk cannot cancel',
      brief: true,
      ...as('clerk'),
      method: 'POST',
      path: '/orders/o-1001/cancel',
      status: 403,
      stage: 'rbac',
    },
    {
      protection: 'rbac',
      shows: 'a manager can, and inherits the rest',
      ...as('manager'),
      method: 'POST',
      path: '/orders/o-1001/cancel',
      status: 200,
      stage: 'rbac',
      reply: ({ body }) => body.status === 'cancelled',
    },
    {
      protection: 'rbac',
      shows: 'a manager is no admin',
      ...as('manager'),
      path: '/admin/report',
      status: 403,
      stage: 'rbac',
    },
    {
      protection: 'rbac',
      shows: 'a token without any role',
      ...as('visitor'),
      path: '/orders',
      status: 403,
      stage: 'rbac',
    },
    {
      protection: 'body',
      shows: '__proto__ in JSON',
      brief: true,
      ...as('clerk'),
      ...create(JSON.stringify(ORDER).replace('{', '{"__proto__":{"admin":true},')),
      status: 400,
      stage: 'body',
      rule: 'proto-key',
    },
    {
      protection: 'body',
      shows: 'a hundred levels of JSON',
      ...as('clerk'),
      ...create('['.repeat(100) + ']'.repeat(100)),
      status: 400,
      stage: 'body',
      rule: 'too-deep',
    },
    {
      protection: 'body',
      shows: 'more than 100 KiB',
      ...as('clerk'),
      ...create({ ...ORDER, note: 'x'.repeat(110_000) }),
      status: 413,
      stage: 'body',
    },
    {
      protection: 'body',
      shows: 'not read before the caller is known',
      ...create('{"never": "parsed'),
      status: 401,
      stage: 'auth',
    },
    {
      protection: 'validate',
      shows: 'an order as it should be',
      ...as('clerk'),
      ...create(ORDER),
      status: 201,
      stage: 'validate',
      reply: ({ body, headers }) => headers.location === `/orders/${body.id}` && body.createdBy === 'clerk',
    },
    {
      protection: 'validate',
      shows: 'a member nobody named',
      brief: true,
      ...as('clerk'),
      ...create({ ...ORDER, status: 'paid' }),
      status: 422,
      stage: 'validate',
    },
    {
      protection: 'validate',
      shows: 'a quantity of -1, and where it is',
      ...as('clerk'),
      method: 'PATCH',
      path: '/orders/o-1002',
      body: { items: [{ sku: 'TAPE-9', quantity: -1 }] },
      status: 422,
      stage: 'validate',
      reply: ({ body }) => body.errors[0].pointer === '#/items/0/quantity',
    },
    {
      protection: 'validate',
      shows: 'one parameter twice',
      ...as('clerk'),
      path: '/orders?limit=1&limit=100',
      status: 400,
      stage: 'validate',
    },
    {
      protection: 'mask',
      shows: 'a clerk sees neither address nor card',
      brief: true,
      ...as('clerk'),
      path: '/orders/o-1002',
      status: 200,
      stage: 'mask',
      reply: ({ body }) => body.customer.email === 'a***@example.com' && body.card === '****4444',
    },
    {
      protection: 'mask',
      shows: 'a manager sees the address',
      ...as('manager'),
      path: '/orders/o-1002',
      status: 200,
      stage: 'mask',
      reply: ({ body }) => body.customer.email === 'alan@example.com' && body.card === '****4444',
    },
    {
      protection: 'mask',
      shows: 'billing sees the card',
      ...as('billing'),
      path: '/orders/o-1002',
      status: 200,
      stage: 'mask',
      reply: ({ body }) => body.customer.email === 'a***@example.com' && body.card === '5555555555554444',
    },
    {
      protection: 'quota',
      shows: 'the report, over and over',
      brief: true,
      ...as('admin'),
      path: '/admin/report',
      times: 4,
      status: 429,
      stage: 'quota',
      reply: ({ headers }) => Number(headers['retry-after']) >= 1,
    },
    {
      protection: 'rateLimit',
      shows: 'orders, over and over',
      brief: true,
      ...as('clerk'),
      ...create(ORDER),
      times: 21,
      status: 429,
      stage: 'rateLimit',
      reply: ({ headers }) => Number(headers['retry-after']) >= 1 && headers.ratelimit !== undefined,
    },
  ]
}
