import type { IncomingMessage } from 'node:http'

/**
 * How often the client sent a field. Node drops or joins all but the first in `req.headers`, so that two parties could
 * read two different credentials from one request; the raw list still has them.
 *
 * @param field in lower case
 */
export function fieldCount(req: IncomingMessage, field: string): number {
  if (req.headers[field] === undefined) return 0
  let count = 0
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i]!
    if (name.length === field.length && name.toLowerCase() === field) count++
  }
  return Math.max(count, 1)
}
