import { IncomingMessage, type ServerResponse } from 'node:http'

/*
 * Express gives every request and response another prototype. Up to V8 12 (Node 22), each of them then gets a hidden
 * class of its own with every property that is added later, and so all code that touches them is slow: on Node 20 that
 * is half of what Express costs. Both functions avoid it, and change nothing that anybody can read.
 */

type Fields = Record<string, unknown>

/** What Express and its router put on every request; not `query`, a getter of the prototype that must not be hidden. */
const ON_REQUEST = ['res', 'next', 'baseUrl', 'originalUrl', '_parsedUrl', 'route', 'params', 'body'] as const

/** In front of Express: whatever it is going to add is there before the prototype changes. */
export function reserveFields(req: IncomingMessage, res: ServerResponse): void {
  const request = req as unknown as Fields
  for (const name of ON_REQUEST) if (!(name in request)) request[name] = undefined

  const response = res as unknown as Fields
  if (!('locals' in response)) response.locals = undefined
  // Node has the defaults on the prototype, and what is written on the response.
  const { statusCode, statusMessage } = res
  res.statusCode = statusCode
  res.statusMessage = statusMessage
}

const GIVES_OWN_CLASSES = Number.parseInt(process.versions.v8) < 13

/** Inside Express: as a dictionary, which an object becomes when an older property is deleted, it has no class to change. */
export function toDictionaries(req: IncomingMessage, res: ServerResponse): void {
  if (!GIVES_OWN_CLASSES || Object.getPrototypeOf(req) === IncomingMessage.prototype) return
  renew(req, 'url')
  renew(res, 'req')
}

function renew(object: object, name: string): void {
  if (!Object.hasOwn(object, name)) return
  const fields = object as Fields
  const value = fields[name]
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- it is the deletion that counts
  delete fields[name]
  fields[name] = value
}
