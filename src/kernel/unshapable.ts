import type { ServerResponse } from 'node:http'

/**
 * Whether a body that no shaper saw could carry what they hide: JSON in any dress, a body of no declared type, JSONP.
 * `body`: the first bytes; `null` if there are none, `undefined` while nobody knows.
 */
export function unshapable(res: ServerResponse, body: unknown): boolean {
  if (body === null || (body !== undefined && isBodyless(res))) return false
  const mediaType = mediaTypeOf(res)
  if (mediaType === '' || mediaType === 'text/event-stream' || mediaType.includes('json')) return true
  return /(?:java|ecma)script/.test(mediaType) && mayBeJsonp(res, body)
}

/** Without parameters, in lower case; every type of a field that names several. */
export function mediaTypeOf(res: ServerResponse): string {
  const field = res.getHeader('Content-Type') ?? ''
  return String(field)
    .replace(/;[^,]*/g, '')
    .trim()
    .toLowerCase()
}

/**
 * Node sends no body with these, whatever the handler writes. It has made up its mind about HEAD when the request arrived:
 * a method that somebody changed since changes nothing.
 */
export function isBodyless(res: ServerResponse): boolean {
  const { req, statusCode } = res
  const { _hasBody = req.method !== 'HEAD' } = res as { _hasBody?: boolean }
  return !_hasBody || statusCode === 204 || statusCode === 304 || statusCode < 200
}

/** An empty chunk puts nothing on the wire and proves nothing about the next one. */
export function isEmpty(chunk: unknown): boolean {
  return chunk === undefined || chunk === null || (chunk as { length?: number }).length === 0
}

/** As Express writes it, JSONP begins with an empty comment. What is compressed could begin with anything. */
function mayBeJsonp(res: ServerResponse, body: unknown): boolean {
  if (body === undefined || res.hasHeader('Content-Encoding')) return true
  const start = typeof body === 'string' ? body.slice(0, 4) : latin1(body)
  return '/**/'.startsWith(start)
}

function latin1(chunk: unknown): string {
  return chunk instanceof Uint8Array ? Buffer.from(chunk.subarray(0, 4)).toString('latin1') : ''
}
