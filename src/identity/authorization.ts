import type { IncomingMessage } from 'node:http'

/** How many `Authorization` fields the client sent. */
export function authorizationCount(req: IncomingMessage): number {
  return fieldCount(req, 'authorization')
}

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

/**
 * What follows `scheme` in the `Authorization` field, untrimmed and possibly empty; `undefined` if there is no field or
 * it names another scheme. The scheme is compared as a whole and without regard to case (RFC 9110 section 11.1).
 *
 * @param scheme in lower case
 */
export function credentialsFor(scheme: string, req: IncomingMessage): string | undefined {
  const field = req.headers.authorization
  if (field === undefined || field.length < scheme.length) return undefined
  if (field.slice(0, scheme.length).toLowerCase() !== scheme) return undefined
  const rest = field.slice(scheme.length)
  return rest === '' || rest.startsWith(' ') || rest.startsWith('\t') ? rest : undefined
}
