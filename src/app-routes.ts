/** A route as an Express application has it. */
export interface MountedRoute {
  /** Upper case; `*` for `app.all`. */
  readonly method: string
  /** Full path as the client sees it; `undefined` if it cannot be read back. */
  readonly path: string | undefined
  readonly handlers: readonly unknown[]
  /** How many top-level layers stand before it. */
  readonly position: number
}

export interface AppWalk {
  readonly routes: readonly MountedRoute[]
  /** Middleware of the application itself, in order. */
  readonly layers: readonly { readonly handle: unknown; readonly name: string }[]
  /** Routers whose mount path the application does not expose. */
  readonly unknownMounts: number
  /** Express 4 leaves a rejected handler unanswered. */
  readonly express4: boolean
}

interface Layer {
  handle: { stack?: Layer[] }
  name?: string
  path?: unknown
  /** Express 5 since router 2.2. */
  rawPath?: unknown
  slash?: boolean
  /** Express 4. */
  regexp?: RegExp & { fast_slash?: boolean; fast_star?: boolean }
  keys?: { name: string | number }[] | undefined
  route?: { path: unknown; methods?: Record<string, boolean>; stack: { handle: unknown; method?: string }[] }
}

/** Walks the routers of an Express 4 or 5 application. `undefined` for anything else: Connect and plain handlers have no routes. */
export function walkApp(app: unknown): AppWalk | undefined {
  const { _router: old } = app as { _router?: { stack?: Layer[] } | undefined }
  const express4 = old !== undefined
  const stack = old?.stack ?? newRouter(app)?.stack
  if (!Array.isArray(stack)) return undefined

  const routes: MountedRoute[] = []
  let unknownMounts = 0
  const pending: { layer: Layer; position: number; prefix: string | undefined }[] = stack.map(
    (layer, position) => ({ layer, position, prefix: '' }),
  )
  while (pending.length > 0) {
    const { layer, position, prefix } = pending.shift()!
    if (layer.route !== undefined) {
      routes.push(...routesOf(layer.route, prefix, position))
      continue
    }
    const inner = routerOf(layer)
    if (inner === undefined) continue
    const mount = mountOf(layer)
    if (mount === undefined) unknownMounts++
    const joined = mount === undefined || prefix === undefined ? undefined : prefix + mount
    pending.unshift(...inner.map((child) => ({ layer: child, position, prefix: joined })))
  }
  return {
    routes,
    layers: stack.map(({ handle, name = '' }) => ({ handle, name })),
    unknownMounts,
    express4,
  }
}

/** Reading `app.router` throws on Express 4, where it means something older. */
function newRouter(app: unknown): { stack?: Layer[] } | undefined {
  try {
    return (app as { router?: { stack?: Layer[] } }).router
  } catch {
    return undefined
  }
}

/** A router has a stack; a mounted application hides its router behind a closure that says so by its name. */
function routerOf({ handle, name }: Layer): Layer[] | undefined {
  if (Array.isArray(handle.stack)) return handle.stack
  return name === 'mounted_app' ? [] : undefined
}

function mountOf({ name, rawPath, slash, regexp, keys = [] }: Layer): string | undefined {
  if (name === 'mounted_app') return undefined
  if (slash === true || regexp?.fast_slash === true) return ''
  if (typeof rawPath === 'string') return rawPath.replace(/\/$/, '')
  return regexp === undefined ? undefined : readMount(regexp.source, keys)
}

/** Express 4 keeps a mount only as the regular expression it made of it: `^\/v1\/?(?=\/|$)`. */
function readMount(source: string, keys: readonly { name: string | number }[]): string | undefined {
  const tail = String.raw`\/?(?=\/|$)`
  if (!source.startsWith('^') || !source.endsWith(tail)) return undefined
  let next = 0
  const path = source
    .slice(1, -tail.length)
    .replaceAll(String.raw`(?:\/([^/]+?))`, () => `/:${String(keys[next++]?.name)}`)
    .replaceAll(String.raw`(?:([^\/]+?))`, () => `:${String(keys[next++]?.name)}`)
    .replaceAll(/\\([/.\-~])/g, '$1')
  return /[()[\]\\^$*+?|]/.test(path) ? undefined : path
}

function routesOf(route: Layer['route'] & {}, prefix: string | undefined, position: number): MountedRoute[] {
  const handlers = route.stack.map(({ handle }) => handle)
  const methods =
    route.methods?._all === true
      ? ['*']
      : Object.keys(route.methods ?? {}).map((method) => method.toUpperCase())
  const paths: unknown[] = Array.isArray(route.path) ? (route.path as unknown[]) : [route.path]
  return paths.flatMap((path) =>
    methods.map((method) => ({
      method,
      path: typeof path === 'string' && prefix !== undefined ? joined(prefix, path) : undefined,
      handlers,
      position,
    })),
  )
}

function joined(prefix: string, path: string): string {
  const whole = prefix + (path === '/' && prefix !== '' ? '' : path)
  return whole === '' ? '/' : whole
}
