// How much. These come last: whoever has used up a limit is refused from there on.
import { bearing, create, ORDER } from './parts.js'

/** @param {import('../requests.js').Callers} callers @returns {import('../requests.js').TourRequest[]} */
export function limitsRequests({ tokens }) {
  const as = bearing(tokens)

  return [
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
