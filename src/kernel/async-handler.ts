import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Next } from './stage.js'

/**
 * An async handler whose rejection reaches the error handler. Express 5 does this by itself; on Express 4 and Connect
 * a rejection would otherwise end the process and leave the client waiting.
 *
 * @example
 * app.get('/orders', asyncHandler(async (req, res) => res.json(await orders.list())))
 */
export function asyncHandler<Req extends IncomingMessage, Res extends ServerResponse, Rest extends unknown[]>(
  handler: (req: Req, res: Res, next: Next, ...rest: Rest) => unknown,
): (req: Req, res: Res, next: Next, ...rest: Rest) => void {
  return (req, res, next, ...rest) => {
    Promise.resolve()
      .then(() => handler(req, res, next, ...rest))
      .then(undefined, (error: unknown) => next(error || new Error('a handler rejected without a reason')))
  }
}
