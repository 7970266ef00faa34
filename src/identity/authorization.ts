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
  // First of all what costs least: a scheme of another length.
  if (field.length > scheme.length && !isSpace(field.charCodeAt(scheme.length))) return undefined
  return field.slice(0, scheme.length).toLowerCase() === scheme ? field.slice(scheme.length) : undefined
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
