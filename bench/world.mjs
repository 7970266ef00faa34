// What all contestants share: the routes' data and rules, and what a reply must look like.

export const ISSUER = 'https://issuer.test'
export const AUDIENCE = 'https://api.test'
export const ORIGIN = 'https://shop.example'
/** Where the server is to be found, for those whose credentials are good there alone. */
export const BASE = 'https://api.test'
/** How many callers are known. */
export const WARM = 50
export const WINDOW_MS = 3_600_000
/** Requests per address and window: more than any scenario takes, except the one that wants to be refused. */
export const IP_LIMIT = 10_000
export const USER_LIMIT = 1_000_000_000

/** What is personal in an order, and how much of it may be shown. */
export const MASK = {
  'customer.email': 'email',
  'customer.phone': 'last4',
  'customer.birthDate': 'redact',
  'customer.taxId': 'last4',
  'card.number': 'last4',
  'card.holder': 'redact',
  'shipping.street': 'redact',
}

const PERSONAL = {
  'customer.email': 'ada.lovelace@mail.example',
  'customer.phone': '+44 20 7946 0958',
  'customer.birthDate': '1815-12-10',
  'customer.taxId': 'QQ123456C',
  'card.number': '4111111111111234',
  'card.holder': 'Augusta Ada King',
  'shipping.street': '12 St James Square',
}

/** 0.9 KB of JSON, made anew for each request as a data base driver would. */
export function readOrder(id) {
  return {
    id,
    status: 'paid',
    placedAt: '2026-03-01T09:30:00.000Z',
    currency: 'EUR',
    total: 184.5,
    customer: {
      id: 'c-20931',
      name: 'Ada',
      email: PERSONAL['customer.email'],
      phone: PERSONAL['customer.phone'],
      birthDate: PERSONAL['customer.birthDate'],
      taxId: PERSONAL['customer.taxId'],
    },
    card: {
      brand: 'visa',
      number: PERSONAL['card.number'],
      holder: PERSONAL['card.holder'],
      expires: '2029-04',
    },
    shipping: { street: PERSONAL['shipping.street'], city: 'London', country: 'GB', method: 'express' },
    lines: [
      { sku: 'BK-1001', title: 'Sketch of the Analytical Engine', count: 1, price: 24.5 },
      { sku: 'BK-1002', title: 'On the Economy of Machinery', count: 2, price: 30 },
      { sku: 'PR-2001', title: 'Print, Difference Engine No. 2', count: 1, price: 45 },
      { sku: 'PR-2002', title: 'Print, punched cards, four of them', count: 1, price: 55 },
    ],
  }
}

/** 473 bytes, 15 fields. */
export const NEW_ORDER = {
  currency: 'EUR',
  total: 184.5,
  reference: 'web-2026-03-01-000184',
  gift: false,
  note: 'Please ring the bell twice, and leave the parcel with the neighbours if nobody is at home.',
  customer: {
    name: 'Ada',
    email: PERSONAL['customer.email'],
    phone: PERSONAL['customer.phone'],
    taxId: PERSONAL['customer.taxId'],
  },
  card: { brand: 'visa', number: PERSONAL['card.number'], expires: '2029-04' },
  shipping: { street: PERSONAL['shipping.street'], city: 'London', country: 'GB' },
}

export function storeOrder(order) {
  return { id: 'o-2', status: 'new', ...order }
}

const text = (maxLength) => ({ type: 'string', minLength: 1, maxLength })
const object = (properties) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
})

export const ORDER_PARAMS = object({ id: { type: 'string', pattern: '^[a-z0-9-]{1,32}$' } })
export const ORDER_BODY = object({
  currency: { type: 'string', enum: ['EUR', 'GBP', 'USD'] },
  total: { type: 'number', minimum: 0, maximum: 100_000 },
  reference: text(64),
  gift: { type: 'boolean' },
  note: text(500),
  customer: object({
    name: text(100),
    email: { type: 'string', format: 'email', maxLength: 254 },
    phone: text(32),
    taxId: text(32),
  }),
  card: object({
    brand: { type: 'string', enum: ['visa', 'mastercard'] },
    number: { type: 'string', pattern: '^[0-9]{12,19}$' },
    expires: { type: 'string', pattern: '^[0-9]{4}-[0-9]{2}$' },
  }),
  shipping: object({
    street: text(200),
    city: text(100),
    country: { type: 'string', pattern: '^[A-Z]{2}$' },
  }),
})

/**
 * The requests, and the status that each must be answered with. Bare Express serves what the others refuse; `bare` is the
 * status it does that with.
 */
export const SCENARIOS = {
  get: { title: 'GET, known token', credential: 'warm', status: [200] },
  post: { title: 'POST, known token', credential: 'warm', post: 'valid', status: [201] },
  fresh: { title: 'GET, every token new (RS256)', credential: 'fresh', status: [200] },
  none: { title: '401, no token', status: [401], bare: 200 },
  forged: { title: '401, forged signature', credential: 'forged', status: [401], bare: 200 },
  invalid: { title: '422, invalid body', credential: 'warm', post: 'invalid', status: [422, 400], bare: 201 },
  limited: { title: '429, one address', credential: 'warm', oneAddress: true, status: [429], bare: 200 },
}

/**
 * The same GET with every kind of credential that is good for many requests, where an API accepts all of them. Each turn has all kinds
 * in it, so that they can be compared; bare Express serves them without a look.
 */
export const CALLERS = {
  token: { title: 'GET, known token, all methods on', credential: 'warm', status: [200] },
  opaque: { title: 'GET, opaque token, answer known', credential: 'opaque', status: [200] },
  key: { title: 'GET, API key', credential: 'key', status: [200] },
  session: { title: 'GET, session', credential: 'session', status: [200] },
  proof: { title: 'GET, DPoP, every proof new', credential: 'proof', status: [200] },
}

/** Whether a reply is what a contestant owes: security header fields on all, nothing personal in any. */
export function faultOf(head, body, isBare) {
  if (isBare) return undefined
  if (!/\r\nx-content-type-options: nosniff\r\n/i.test(head)) return 'no X-Content-Type-Options'
  if (!/\r\nstrict-transport-security: /i.test(head)) return 'no Strict-Transport-Security'
  if (!/\r\naccess-control-allow-origin: /i.test(head)) return 'no Access-Control-Allow-Origin'
  const shown = Object.entries(PERSONAL).find(([, value]) => body.includes(value))
  return shown && `${shown[0]} is not masked`
}
