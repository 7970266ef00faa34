import type { IncomingMessage } from 'node:http'
import { once } from '../lib/once.js'
import { checkClock } from './check-clock.js'
import { func, integer, show } from './check.js'
import { clientResolver, proxyCheck, tlsResolver, type TrustProxy } from './client.js'
import { ConfigError } from './config-error.js'
import { consoleLog } from './console-log.js'
import type { Clock, Log, Ports, Store } from './ports.js'
import { noticeProxies, type ProxyNotice } from './proxy-notice.js'
import { respond, type Respond } from './respond.js'
import { safeLog } from './safe-log.js'
import { checkStore, portsBehindGuards } from './store-ports.js'
import { systemClock } from './system-clock.js'

/** Who is on the other end of the connection, seen past the declared proxies. */
export interface Client {
  /** As written in the packet or by the outermost trusted proxy. */
  readonly address: string | undefined
  /** The address to count by: IPv6 is cut to its /56. */
  readonly key: string
}

/** The outside world as stages see it. */
export interface Services extends Ports {
  readonly clock: Clock
  /**
   * The ports of a store that a stage was given, behind deadlines and breakers: the same ones for all who were given the
   * same store. What the store does not offer is in the memory of this process.
   */
  readonly portsOf: (store: Store) => Ports
  readonly log: Log
  readonly fetch: typeof fetch
  readonly respond: Respond
  readonly clientOf: (req: IncomingMessage) => Client
  /** Whether the client spoke TLS, with this process or with a declared proxy that says so in `X-Forwarded-Proto`. */
  readonly isOverTls: (req: IncomingMessage) => boolean
  /** Whether the peer of the connection is a proxy that `trustProxy` declares. Absent if none is declared. */
  readonly fromProxy?: (req: IncomingMessage) => boolean
  /** Whether a proxy seems to be in front that nobody told us of. */
  readonly proxySeen?: ProxyNotice['proxySeen']
  /** Prefix of every problem's `type`. */
  readonly problemBase: string
}

export interface ServiceOptions {
  /**
   * Which proxies may say who the client is: the number of hops in front of this process, or their addresses as CIDR
   * ranges. Default 0: the socket's peer is the client. `true`, and ranges wider than /8 (IPv6: /16), are refused,
   * because they let every client choose its own address. Unless it is set, the first request with `X-Forwarded-For` or
   * `Forwarded` is warned of in the log.
   */
  trustProxy?: TrustProxy
  /** Shared stores, such as `redis(client)`. Default: the memory of this process. */
  store?: Store
  /**
   * How long a shared store may take to answer, in milliseconds. Default 40. After three failures in a row it is left alone
   * and tried every half second. What happens meanwhile is the business of whoever asks: for limits it is `whenStoreFails`,
   * whoever is asked who they are is answered 503 `store-unavailable`.
   */
  storeTimeoutMs?: number
  /** The clock. Default: the system's. */
  clock?: Clock
  /** Where the package says what operators should know. Default: warnings and errors on the console. If it fails, nothing else does. */
  log?: Log
  /** Makes calls to identity providers. Default: the global `fetch`. */
  fetch?: typeof fetch
  /** Answers refusals. Default: RFC 9457; `forward` hands them to your own error handler, if the API is mounted inside the application. */
  respond?: Respond
  /** Prefix of every problem's `type`. Default `urn:secure-api:problem:`. */
  problemBase?: string
}

/** The names of all `ServiceOptions`, for those who mix them with options of their own. */
export const SERVICE_OPTIONS = [
  'trustProxy',
  'store',
  'storeTimeoutMs',
  'clock',
  'log',
  'fetch',
  'respond',
  'problemBase',
] as const satisfies readonly (keyof ServiceOptions)[]

/** @throws ConfigError for a proxy setting or a deadline that breaks a rule */
export function createServices(options: ServiceOptions = {}): Services {
  const {
    trustProxy,
    store,
    storeTimeoutMs = 40,
    clock = systemClock,
    log: ownLog = consoleLog,
    fetch: ownFetch = globalFetch,
    respond: ownRespond = respond,
    problemBase = 'urn:secure-api:problem:',
  } = options
  func('fetch', ownFetch)
  func('respond', ownRespond)
  const log = safeLog(ownLog)
  checkClock('clock', clock)
  integer('storeTimeoutMs', storeTimeoutMs, { max: 60_000 })
  // RFC 9457 section 3.1.1: `type` is a URI.
  if (typeof problemBase !== 'string' || !/^[a-z][a-z0-9+.-]*:[!-~]*$/i.test(problemBase)) {
    throw new ConfigError(
      `problemBase must begin a URI, such as 'https://errors.example.com/', got ${show(problemBase)}`,
    )
  }
  if (store !== undefined) checkStore('store', store)
  const portsOf = portsBehindGuards({ clock, log, timeoutMs: storeTimeoutMs })
  return {
    ...portsOf(store ?? {}),
    portsOf,
    clock,
    log,
    fetch: ownFetch,
    respond: ownRespond,
    ...(trustProxy === undefined
      ? noticeProxies(clientResolver(0), log)
      : {
          clientOf: clientResolver(trustProxy),
          ...(trustProxy !== 0 && { fromProxy: proxyCheck(trustProxy) }),
        }),
    isOverTls: tlsResolver(trustProxy ?? 0),
    problemBase,
  }
}

/** What stages use that were given nothing: the same for all of them, so that it makes no difference who comes first. */
export const defaultServices = once(() => createServices())

/** Looked up on each call, so that instrumentation which replaces the global is seen. */
const globalFetch: typeof fetch = (...call) => fetch(...call)
