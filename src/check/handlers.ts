/** Middleware of others that passes requests on, by the names of their functions. */
const BODY_PARSERS = ['jsonParser', 'urlencodedParser', 'rawParser', 'textParser']
const PASSING = new Set([
  ...BODY_PARSERS,
  'multerMiddleware',
  'corsMiddleware',
  'helmetMiddleware',
  'cookieParser',
  'compression',
  'methodOverride',
])

export const isBodyParser = (name: string): boolean => BODY_PARSERS.includes(name)

export const nameOf = (handler: unknown): string => (handler as { name?: string }).name ?? ''

/** Express tells error handlers by their four parameters. */
export const isErrorHandler = (handler: unknown): boolean => lengthOf(handler) > 3

/** Whether it may answer: it is neither for errors only nor known to pass everything on. */
export const mayAnswer = (handler: unknown): boolean =>
  !isErrorHandler(handler) && !PASSING.has(nameOf(handler))

/** Without a third parameter nothing can be passed on. None at all says nothing: wrappers take `...args`. */
export const mustAnswer = (handler: unknown): boolean =>
  mayAnswer(handler) && (lengthOf(handler) === 1 || lengthOf(handler) === 2)

/** A Connect application has a stack as Express's routers have, and `route` is where it is mounted. */
export const isConnect = (handler: unknown): boolean => {
  const { stack, route } = handler as { stack?: unknown; route?: unknown }
  return Array.isArray(stack) && typeof route === 'string'
}

/** An async function, whose rejection Express 4 leaves unanswered. */
export const isAsync = (handler: unknown): boolean =>
  typeof handler === 'function' && handler.constructor.name === 'AsyncFunction'

const lengthOf = (handler: unknown): number => (handler as { length: number }).length
