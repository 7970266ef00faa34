import type { Finding } from '../kernel/stage.js'
import type { AppWalk, Layer } from './app-walk.js'
import type { CheckedApi } from './checked-api.js'
import { markOf } from './guard-mark.js'
import { isBodyParser, isConnect, isErrorHandler } from './handlers.js'
import { isInFront, mayBeInFront, overlap, sharedSteps } from './in-front.js'
import { isEnteredSomewhere } from './routes.js'

/** What is to be said about where the API stands among the middleware of others. */
export function mountFindings(walk: AppWalk, { api, isProtected }: CheckedApi): Finding[] {
  const { layers } = walk
  if (!isProtected && !isEnteredSomewhere(walk, api)) return [NOT_MOUNTED]
  const own = layers.filter(({ handlers }) => handlers.some((handler) => markOf(handler)?.by === api))
  const functions = layers.filter(({ kind }) => kind === 'function')
  const isBehind = (layer: Layer): boolean => isProtected || own.some((each) => mayBeInFront(each, layer))

  return [
    ...(isProtected ? [] : functions)
      .filter((layer) => isBodyParser(layer.name))
      .filter((layer) => own.some((each) => mayBeInFront(layer, each) && !isEnteredBefore(own, layer)))
      .map(({ name, path }): Finding => ({
        code: 'body-parsed-before',
        severity: 'medium',
        cause: `${name} at ${path} reads bodies before the caller is known`,
        fix: 'drop it: the API reads JSON itself, after identity; mount other parsers behind it',
      })),
    ...functions
      .filter((layer) => layer.name === 'methodOverride' && isBehind(layer))
      .map(({ path }): Finding => ({
        code: 'method-overridden',
        severity: 'high',
        cause: `methodOverride at ${path} changes the method after the API has judged the request by it`,
        fix: 'mount it before app.use(api); behind api.protect(app) there is no place for it',
      })),
    ...functions
      .filter((layer) => layer.handlers.some(isConnect) && isBehind(layer))
      .map(({ path }): Finding => ({
        code: 'connect-mounted',
        severity: 'medium',
        cause: `the Connect application at ${path} takes a dot for the end of a mount path, and the API judges requests as Express routes them`,
        fix: 'write one rule for all that is below it, or serve it with api.protect(connectApp)',
      })),
    ...(isProtected ? [] : functions)
      .filter((layer) => isErrorHandler(layer.handlers[0]) && mayResume(layer, own, layers))
      .map(({ path }): Finding => ({
        code: 'error-handler-early',
        severity: 'medium',
        cause: `an error handler at ${path} stands before routes: if it calls next(), requests whose error came before the API get to them without it`,
        fix: 'mount error handlers behind all routes',
      })),
  ]
}

const NOT_MOUNTED: Finding = {
  code: 'api-not-mounted',
  severity: 'high',
  cause: 'the application neither uses the API as its own middleware nor stands behind its front door',
  fix: 'write app.use(api) before everything else, or http.createServer(api.protect(app))',
}

function isEnteredBefore(own: readonly Layer[], layer: Layer): boolean {
  return own.some((each) => each.kind === 'function' && isInFront(each, layer))
}

/** An error skips what is not for errors, the API too, until something for errors in the same router or one around it. */
function mayResume(handler: Layer, own: readonly Layer[], layers: readonly Layer[]): boolean {
  const around = handler.steps.length - 1
  const skipped = own.some((each) => sharedSteps(each, handler) === around && mayBeInFront(each, handler))
  return (
    skipped &&
    layers
      .slice(layers.indexOf(handler) + 1)
      .some(
        (each) =>
          each.kind === 'route' &&
          sharedSteps(each, handler) === around &&
          overlap(each.segments, handler.segments),
      )
  )
}
