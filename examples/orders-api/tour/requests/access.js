// What callers may do, and how well they must have proven themselves.
import { bearing, pay } from './parts.js'

/** @param {import('../requests.js').Callers} callers @returns {import('../requests.js').TourRequest[]} */
export function accessRequests({ tokens, key }) {
  const as = bearing(tokens)

  return [
    {
      protection: 'stepUp',
      shows: 'a payout wants to know how the caller logged in',
      brief: true,
      ...as('admin'),
      ...pay,
      status: 401,
      stage: 'stepUp',
      rule: 'authentication-unknown',
      reply: ({ headers }) =>
        headers['www-authenticate'].includes('error="insufficient_user_authentication"') &&
        headers['www-authenticate'].includes('max_age="300"'),
    },
    {
      protection: 'stepUp',
      shows: 'with two factors, and just now',
      ...as('treasurer'),
      ...pay,
      status: 201,
      stage: 'stepUp',
      reply: ({ body }) => body.by === 'treasurer',
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
  ]
}
