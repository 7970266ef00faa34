import type { ServerResponse } from 'node:http'
import type { Methods } from './intercept.js'
import { isBodyless } from './unshapable.js'

/**
 * The method that turns shaped bodies into text. Looked up late: behind the front door, Express gives the response its
 * prototype after the gate was put up.
 */
export function jsonBelow(
  res: ServerResponse,
  name: 'json' | 'jsonp',
  below: Methods,
): (body: unknown, more?: unknown) => unknown {
  return below[name] ?? (Object.getPrototypeOf(res) as Methods)[name] ?? sendJson
}

/** Whether it is neither Express's nor ours: set on the response before the gate was, or on an application's `response`. */
export function isReplaced(res: ServerResponse, name: 'json' | 'jsonp', method: unknown): boolean {
  if (method === sendJson) return false
  let owner = Object.getPrototypeOf(res) as object | null
  while (owner !== null && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object | null
  return owner === null || (owner as Methods)[name] !== method || Object.hasOwn(owner, 'app')
}

type Sender = ServerResponse & {
  app?: { get?: (setting: string) => unknown }
  send?: (body?: unknown, ...more: unknown[]) => unknown
}

/** Calls back if the next text that is given to `res.send` is that of `body`, to the letter. */
export function onText(res: Sender, body: unknown, confirmed: () => void): void {
  const { send, app } = res
  if (send === undefined) return
  const setting = (name: string): never => app?.get?.(`json ${name}`) as never
  const text = JSON.stringify(body, setting('replacer'), setting('spaces'))
  res.send = function (this: ServerResponse, given?: unknown, ...more: unknown[]) {
    res.send = send
    if (given === text) confirmed()
    return send.call(this, given, ...more)
  }
}

/** What `res.json` means where no framework offers it. */
export function sendJson(this: ServerResponse, body?: unknown): void {
  const text = JSON.stringify(body) as string | undefined
  if (!this.hasHeader('Content-Type')) this.setHeader('Content-Type', 'application/json; charset=utf-8')
  this.setHeader('Content-Length', Buffer.byteLength(text ?? ''))
  this.end(isBodyless(this) ? undefined : text)
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
