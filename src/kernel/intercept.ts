import { ServerResponse } from 'node:http'
import type { HeaderFields } from './header-fields.js'
import type { ReplyGate } from './reply-gate.js'

/** The methods by which handlers answer, as plain functions, which is how they are replaced and called. */
export interface Methods {
  writeHead: (statusCode: number, reason?: string | HeaderFields, fields?: HeaderFields) => unknown
  write: (chunk?: unknown, encoding?: unknown, callback?: unknown) => unknown
  end: (chunk?: unknown, encoding?: unknown, callback?: unknown) => unknown
  flushHeaders: () => unknown
  json?: (body?: unknown, ...more: unknown[]) => unknown
  jsonp?: (body?: unknown, ...more: unknown[]) => unknown
}

/** What is found on a response. `json` only where it is the response's own: its prototype is looked at when it is needed. */
export function methodsOf(res: ServerResponse): Methods {
  const { writeHead, write, end, flushHeaders } = res as unknown as Methods
  const methods: Methods = { writeHead, write, end, flushHeaders }
  for (const name of ['json', 'jsonp'] as const)
    if (Object.hasOwn(res, name)) methods[name] = (res as unknown as Methods)[name]!
  return methods
}

const GATE = Symbol('secure-api.gate')

type Intercepted = ServerResponse & { readonly [GATE]: ReplyGate }

/**
 * Puts `gate` between whoever answers and the response's own methods. What takes their place is shared by all responses
 * and finds its gate on the one it is called on. Where no framework offers `json`, this does.
 */
export function intercept(res: ServerResponse, gate: ReplyGate): void {
  const intercepted = res as unknown as Methods & { [GATE]: ReplyGate; _send: unknown }
  intercepted[GATE] = gate
  intercepted.writeHead = writeHead
  if (SEND !== undefined) intercepted._send = send
  intercepted.write = write
  intercepted.end = end
  intercepted.flushHeaders = flushHeaders
  intercepted.json = json
  intercepted.jsonp = jsonp
}

/** Takes the place of whoever has wrapped `writeHead` since. */
export function interceptHead(res: ServerResponse): void {
  ;(res as unknown as Methods).writeHead = writeHead
}

/** Whether nobody has wrapped `writeHead` since it was intercepted. */
export function isOurs(res: ServerResponse): boolean {
  return (res as unknown as Methods).writeHead === writeHead
}

/**
 * A handler that goes on talking to a reply that is over must not be told so by an exception, which would end the process
 * if thrown in a callback; nor may what it says turn up between this reply and the next one on the same connection.
 */
export function deafen(res: ServerResponse): void {
  Object.assign(res, DEAF)
}

function writeHead(
  this: Intercepted,
  statusCode: number,
  reason?: string | HeaderFields,
  fields?: HeaderFields,
): unknown {
  this[GATE].writeHead(statusCode, reason, fields)
  return this
}

/** Through here Node sends whatever it sends, also for those who call its own `end` or `write` on the response. */
function send(
  this: Intercepted,
  data: unknown,
  encoding: unknown,
  callback: unknown,
  length: unknown,
): unknown {
  return this[GATE].mayLeave() && SEND!.call(this, data, encoding, callback, length)
}

const { _send: SEND } = ServerResponse.prototype as { _send?: (...args: unknown[]) => unknown }

function write(this: Intercepted, chunk?: unknown, encoding?: unknown, callback?: unknown): unknown {
  return this[GATE].write(chunk, encoding, callback)
}

function end(this: Intercepted, chunk?: unknown, encoding?: unknown, callback?: unknown): unknown {
  return this[GATE].end(chunk, encoding, callback)
}

function flushHeaders(this: Intercepted): void {
  this[GATE].flushHeaders()
}

function json(this: Intercepted, body?: unknown, more?: unknown): unknown {
  this[GATE].json('json', body, more)
  return this
}

function jsonp(this: Intercepted, body?: unknown, more?: unknown): unknown {
  this[GATE].json('jsonp', body, more)
  return this
}

function unheard(this: ServerResponse, ...args: unknown[]): unknown {
  calledBack(args)
  return this
}

const DEAF = {
  setHeader: unheard,
  setHeaders: unheard,
  appendHeader: unheard,
  removeHeader: unheard,
  addTrailers: unheard,
  writeContinue: unheard,
  writeEarlyHints: unheard,
  writeProcessing: unheard,
}

/** A write that was dropped still tells its writer that it is done, so that pipes end instead of hanging. */
export function calledBack(args: readonly unknown[]): void {
  const callback = args.find((arg) => typeof arg === 'function') as (() => void) | undefined
  if (callback !== undefined) process.nextTick(callback)
}
