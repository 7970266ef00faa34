import { func } from './check.js'
import type { Next } from './stage.js'

type AnyHandler = (...call: never[]) => unknown

/**
 * An async handler whose rejection reaches the error handler. Express 5 does this by itself; on Express 4 and Connect
 * a rejection would otherwise end the process and leave the client waiting. Its type stays the handler's own, so that
 * what is written in place has the types of where it stands.
 *
 * @example
 * app.get('/orders', asyncHandler(async (req, res) => res.json(await orders.list())))
 * @throws ConfigError for what is no function
 */
export function asyncHandler<Handler extends AnyHandler>(handler: Handler): Handler {
  const run = func('asyncHandler: the handler', handler) as unknown as (...call: unknown[]) => unknown
  const handled = (req: unknown, res: unknown, next: Next, ...rest: unknown[]): void => {
    Promise.resolve()
      .then(() => run(req, res, next, ...rest))
      .then(undefined, (error: unknown) => next(error || new Error('a handler rejected without a reason')))
  }
  return handled as unknown as Handler
}
