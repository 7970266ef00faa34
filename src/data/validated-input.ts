import type { IncomingMessage } from 'node:http'
import type { SecurityContext, ValidatedInput } from '../kernel/context.js'
import { BareRecord } from '../lib/bare.js'
import { showParams, type Params, type ParamsOf } from '../kernel/validated-params.js'

/**
 * Puts what was validated where handlers look: on `req.security.input`, and in the place of `req.body`, `req.query` and
 * `req.params`. What several validations let through adds up; a body is replaced.
 *
 * @param sentParams the path parameters as they were sent
 */
export function showInput(
  ctx: SecurityContext,
  results: ValidatedInput,
  sentParams: Params,
  paramsOf: ParamsOf,
): void {
  const req = ctx.req as IncomingMessage & { body?: unknown }
  const { input } = ctx
  if ('headers' in results) input.headers = united(input.headers, results.headers)
  if ('cookies' in results) input.cookies = united(input.cookies, results.cookies)
  if ('query' in results) {
    input.query = united(input.query, results.query)
    // In Express 5, `query` is a getter of the prototype: assigning throws.
    const property = { value: input.query, writable: true, enumerable: true, configurable: true }
    Object.defineProperty(req, 'query', property)
  }
  if ('params' in results) {
    input.params = united(input.params, results.params)
    showParams(ctx, sentParams, asParams(input.params), paramsOf)
  }
  if ('body' in results) req.body = input.body = results.body
}

function united(before: unknown, now: unknown): unknown {
  if (before === undefined || typeof now !== 'object' || now === null) return now
  return Object.assign(new BareRecord(), before, now)
}

/** A Standard Schema may make anything of the parameters; handlers expect an object there. */
function asParams(result: unknown): Params {
  return typeof result === 'object' && result !== null ? (result as Params) : {}
}
