import { validateHeaderValue, type IncomingMessage, type ServerResponse } from 'node:http'
import helmet, { type HelmetOptions } from 'helmet'
import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'

/** What helmet does to a reply, once and for all. */
export interface HelmetHeaders {
  readonly set: readonly (readonly [name: string, value: string])[]
  readonly removed: readonly string[]
}

/** Asks helmet, by letting it work on a reply that only writes down what happens to it. */
export function helmetHeaders(preset: 'api' | 'html', overrides: HelmetOptions): HelmetHeaders {
  const options = merge(preset, overrides)
  const set: [string, string][] = []
  const removed: string[] = []
  const res = {
    setHeader: (name: string, value: string) => {
      validateHeaderValue(name, value)
      set.push([name, value])
    },
    removeHeader: (name: string) => removed.push(name),
  }

  let failure: unknown
  try {
    // Neither is read: helmet asks them for no more than the two methods, unless a directive is a function.
    helmet(options)(undefined as unknown as IncomingMessage, res as unknown as ServerResponse, (error) => {
      failure = error
    })
  } catch (error) {
    failure = error
  }
  if (failure !== undefined)
    // Not every Error is an `instanceof Error`: under Jest, Node's own come from another realm.
    throw new ConfigError(`headers.helmet: ${(failure as Error).message}`)
  return { set: Object.freeze(set), removed: Object.freeze(removed) }
}

/** What pages need is refused to JSON: it loads nothing, and nobody frames it. */
const API_DIRECTIVES = { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] }

/** helmet's options under their full names; the same names shortened are what older helmets called them. */
const ALIASES: Readonly<Record<string, string>> = {
  hsts: 'strictTransportSecurity',
  noSniff: 'xContentTypeOptions',
  dnsPrefetchControl: 'xDnsPrefetchControl',
  ieNoOpen: 'xDownloadOptions',
  frameguard: 'xFrameOptions',
  permittedCrossDomainPolicies: 'xPermittedCrossDomainPolicies',
  hidePoweredBy: 'xPoweredBy',
  xssFilter: 'xXssProtection',
}

const WITH_OPTIONS = [
  'contentSecurityPolicy',
  'crossOriginEmbedderPolicy',
  'crossOriginOpenerPolicy',
  'crossOriginResourcePolicy',
  'referrerPolicy',
  'strictTransportSecurity',
  'xDnsPrefetchControl',
  'xFrameOptions',
  'xPermittedCrossDomainPolicies',
]
const ON_OR_OFF = [
  'originAgentCluster',
  'xContentTypeOptions',
  'xDownloadOptions',
  'xPoweredBy',
  'xXssProtection',
]

function merge(preset: 'api' | 'html', overrides: HelmetOptions): HelmetOptions {
  knownKeys('headers.helmet', overrides, [...WITH_OPTIONS, ...ON_OR_OFF, ...Object.keys(ALIASES)])
  const named: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(overrides)) {
    if ((value as unknown) === undefined) continue
    const name = ALIASES[key] ?? key
    if (name in named) throw new ConfigError(`headers.helmet sets ${name} twice, also as an alias; keep one`)
    const isOptions = isObject(value) && WITH_OPTIONS.includes(name)
    if (typeof value !== 'boolean' && !isOptions)
      throw new ConfigError(
        `headers.helmet.${key} must be ${ON_OR_OFF.includes(name) ? 'true or false' : 'true, false or options'}, got ${show(value)}`,
      )
    named[name] = value
  }
  refuseFunctions(named.contentSecurityPolicy)
  if (preset === 'html') return named
  return {
    xFrameOptions: { action: 'deny' },
    ...named,
    contentSecurityPolicy: apiPolicy(named.contentSecurityPolicy as HelmetOptions['contentSecurityPolicy']),
  }
}

type Policy = Exclude<NonNullable<HelmetOptions['contentSecurityPolicy']>, boolean>

/** As helmet does with its own defaults, directives that are written replace those of the same name, and only those. */
function apiPolicy(policy: Policy | boolean | undefined): Policy | false {
  if (policy === false) return false
  const {
    useDefaults = true,
    directives = {},
    ...rest
  } = policy === true || policy === undefined ? {} : policy
  const written = new Set(Object.keys(directives).map(dashed))
  const defaults = Object.entries(API_DIRECTIVES).filter(([name]) => useDefaults && !written.has(name))
  return { ...rest, useDefaults: false, directives: { ...Object.fromEntries(defaults), ...directives } }
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function refuseFunctions(policy: unknown): void {
  if (!isObject(policy)) return
  for (const [name, values] of Object.entries((policy as Policy).directives ?? {})) {
    const parts: unknown[] = isIterable(values) ? [...values] : [values]
    if (parts.some((part) => typeof part === 'function'))
      throw new ConfigError(
        `headers.helmet.contentSecurityPolicy.directives.${name} must not have functions: everything here is computed ` +
          'once, at start. Set the Content-Security-Policy of the page that needs a nonce in its handler; it wins',
        'dynamic-header',
      )
  }
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return isObject(value) && Symbol.iterator in value
}
