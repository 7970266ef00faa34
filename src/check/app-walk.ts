import { METHODS } from 'node:http'
import { ANYWHERE, readMount4, readPath4, readPath5, ROOT, type Path } from './express-path.js'

/** One router on the way down to a layer, or the layer itself. */
export interface Step {
  /** Place in its router. */
  readonly position: number
  /** Under which path; `undefined` if it cannot be read. */
  readonly path: Path | undefined
  /** The path as it was written, for people. */
  readonly text: string
  /** Mounted without a path: nothing of the URL is taken away. */
  readonly isBare: boolean
  readonly caseSensitive: boolean
  /** `app.param` may leave a layer out whose path has names. */
  readonly hasParamHooks: boolean
}

/** Something an Express application meets on its way through its routers. */
export interface Layer {
  /** From the application down. */
  readonly steps: readonly Step[]
  /**
   * `route`: the handlers of one method. `function`: what `app.use` mounts. `app`: another application, which does not
   * show what is in it.
   */
  readonly kind: 'route' | 'function' | 'app'
  /** Upper case; `*` for all. */
  readonly method: string
  /** As far as it can be read, in the vocabulary of `routes`; below a mount, `*` stands at its end. */
  readonly segments: readonly string[]
  /** For people. */
  readonly path: string
  readonly name: string
  readonly handlers: readonly unknown[]
}

export interface AppWalk {
  /** In the order in which requests meet them. */
  readonly layers: readonly Layer[]
  /** Express 4 leaves a rejected handler unanswered. */
  readonly express4: boolean
}

interface ExpressRouter {
  stack?: ExpressLayer[]
  caseSensitive?: boolean
  params?: object
  /** Express 4: `app.param(callback)`. */
  _params?: unknown[]
}

interface ExpressLayer {
  handle: unknown
  name?: string
  /** Express 5 since router 2.2. */
  rawPath?: unknown
  slash?: boolean
  /** Express 4. */
  regexp?: RegExp & { fast_slash?: boolean }
  keys?: { name: string | number }[]
  route?: ExpressRoute
}

interface ExpressRoute {
  path: unknown
  methods?: object
  stack: { handle: unknown; method?: string }[]
}

/** Walks the routers of an Express 4 or 5 application. `undefined` for anything else: Connect and plain handlers have no routes. */
export function walkApp(app: unknown): AppWalk | undefined {
  const router = routerOf(app)
  if (router === undefined) return undefined
  const layers: Layer[] = []
  walk(router, [], [router], layers)
  return { layers, express4: isExpress4(app) }
}

const isExpress4 = (app: unknown): boolean =>
  typeof (app as { lazyrouter?: unknown }).lazyrouter === 'function'

/** An application has a router, a router has a stack. Express 4 makes the router late, and means something older by `app.router`. */
function routerOf(handle: unknown): ExpressRouter | undefined {
  if (typeof handle !== 'function') return undefined
  const { set, stack, route } = handle as { set?: unknown; stack?: unknown; route?: unknown }
  // Connect has a stack too, but no routes.
  if (Array.isArray(stack) && typeof route === 'function') return handle as ExpressRouter
  if (typeof set !== 'function') return undefined
  const { _router: late } = handle as { _router?: ExpressRouter }
  const router = isExpress4(handle) ? (late ?? {}) : (handle as { router?: ExpressRouter }).router
  return typeof router === 'object' || typeof router === 'function' ? router : undefined
}

function walk(
  router: ExpressRouter,
  above: readonly Step[],
  enclosing: readonly ExpressRouter[],
  found: Layer[],
): void {
  router.stack?.forEach((layer, position) => {
    const step = {
      position,
      caseSensitive: layer.regexp ? !layer.regexp.ignoreCase : router.caseSensitive === true,
      hasParamHooks: Object.keys(router.params ?? {}).length > 0 || (router._params ?? []).length > 0,
    }
    for (const place of placesOf(layer)) {
      const steps = [...above, { ...step, ...place }]
      if (layer.route !== undefined) {
        found.push(...routesOf(layer.route, steps))
        continue
      }
      const { handle, name = '' } = layer
      const inner = name === 'mounted_app' ? undefined : routerOf(handle)
      // A router inside itself has no end.
      if (inner !== undefined && !enclosing.includes(inner)) {
        walk(inner, steps, [...enclosing, inner], found)
        continue
      }
      found.push({
        steps,
        kind: inner !== undefined || name === 'mounted_app' ? 'app' : 'function',
        method: '*',
        ...spelled(steps, ANYWHERE),
        name,
        handlers: [handle],
      })
    }
  })
}

function routesOf(route: ExpressRoute, steps: readonly Step[]): Layer[] {
  return handlersByMethod(route).map(([method, handlers]) => ({
    steps,
    kind: 'route',
    method,
    ...spelled(steps, ROOT),
    name: '',
    handlers,
  }))
}

function handlersByMethod({ methods = {}, stack }: ExpressRoute): [method: string, handlers: unknown[]][] {
  const named = Object.keys(methods).map((method): [string, unknown[]] => {
    const layers = stack.filter((each) => each.method === undefined || each.method === method)
    return [method === '_all' ? '*' : method.toUpperCase(), layers.map(({ handle }) => handle)]
  })
  // Express 4 makes of `app.all` a handler for each method there is.
  const [first] = named
  const isAll =
    METHODS.every((method) => named.some(([each]) => each === method)) &&
    named.every(([, handlers]) => handlers.every((handler, i) => handler === first![1][i]))
  return isAll ? [['*', first![1]]] : named
}

/** As far as it is known; what follows an unknown path can be anything. */
function spelled(steps: readonly Step[], end: Path): Pick<Layer, 'segments' | 'path'> {
  const segments = [...steps.flatMap(({ path }) => (path ?? ANYWHERE).segments), ...end.segments]
  const rest = segments.indexOf('*')
  const known = rest === -1 ? segments : segments.slice(0, rest + 1)
  if (steps.every(({ path }) => path !== undefined)) return { segments: known, path: shown(known) }
  const texts = steps.flatMap(
    ({ path, text }) => path?.segments.map((segment) => `/${segment}`) ?? ` ${text} `,
  )
  return { segments: known, path: texts.join('').trim() }
}

type Place = Pick<Step, 'path' | 'text' | 'isBare'>

/** Each path by which the layer may be met. */
function placesOf({ route, rawPath, slash, regexp, keys = [] }: ExpressLayer): Place[] {
  const isMount = route === undefined
  if (isMount && (slash === true || regexp?.fast_slash === true))
    return [{ path: ROOT, text: '/', isBare: true }]
  if (isMount && regexp !== undefined) {
    const names = keys.map((key) => String(key.name))
    return eachOf(readMount4(regexp, names), String(regexp))
  }
  const paths: unknown[] = [route?.path ?? rawPath ?? '(unknown)'].flat(Infinity)
  const read = regexp === undefined ? readPath5 : readPath4
  return paths.flatMap((path) => {
    // As one of several mounts, Express 5 takes a slash for no more than a slash.
    const isText = typeof path === 'string' && !(isMount && path === '/')
    return eachOf(isText ? read(path) : undefined, String(path))
  })
}

function eachOf(paths: readonly Path[] | undefined, text: string): Place[] {
  return (paths ?? [undefined]).map((path) => ({ path, text, isBare: false }))
}

/** As `routes` spells it. */
export function shown(segments: readonly string[]): string {
  return `/${segments.join('/')}`
}
