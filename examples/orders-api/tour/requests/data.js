// What goes in, and what comes out.
import { bearing, create, ORDER } from './parts.js'

/** @param {import('../requests.js').Callers} callers @returns {import('../requests.js').TourRequest[]} */
export function dataRequests({ tokens }) {
  const as = bearing(tokens)

  return [
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
  ]
}
