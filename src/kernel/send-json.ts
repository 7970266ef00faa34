import type { ServerResponse } from 'node:http'

/** What `res.json` means where no framework offers it. */
export function sendJson(this: ServerResponse, body?: unknown): void {
  const text = JSON.stringify(body) as string | undefined
  if (!this.hasHeader('Content-Type')) this.setHeader('Content-Type', 'application/json; charset=utf-8')
  this.setHeader('Content-Length', Buffer.byteLength(text ?? ''))
  this.end(this.req.method === 'HEAD' ? undefined : text)
}

/** The body among what was given to `res.json`. Express 4 also accepts `(status, body)` and `(body, status)`. */
export function bodyOf(res: ServerResponse, first: unknown, second: unknown): unknown {
  if (typeof first === 'number' && second !== undefined && typeof second !== 'number') {
    res.statusCode = first
    return second
  }
  if (typeof second === 'number') res.statusCode = second
  return first
}
