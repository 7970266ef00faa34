// What every reply has, and what nobody gets past.
import { bearing } from './parts.js'

const SHOP = 'https://shop.example.com'

/** @param {import('../requests.js').Callers} callers @returns {import('../requests.js').TourRequest[]} */
export function wireRequests({ tokens }) {
  const as = bearing(tokens)

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
  ]
}
