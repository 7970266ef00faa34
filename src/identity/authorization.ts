import type { IncomingMessage } from 'node:http'
import { fieldCount } from '../kernel/field-count.js'

/** How many `Authorization` fields the client sent. */
export function authorizationCount(req: IncomingMessage): number {
  return fieldCount(req, 'authorization')
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
