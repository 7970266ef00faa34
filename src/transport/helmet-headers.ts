import { validateHeaderValue, type IncomingMessage, type ServerResponse } from 'node:http'
import helmet, { type HelmetOptions } from 'helmet'
import { boolean, integer, knownKeys, membersOf, show } from '../kernel/check.js'
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
  // Not every Error is an `instanceof Error`: under Jest, Node's own come from another realm.
  if (failure !== undefined) throw refused((failure as Error).message, options)
  return { set: Object.freeze(set), removed: Object.freeze(removed) }
}

/** helmet quotes what it was given, which may be a secret in the wrong place. */
function refused(message: string, { contentSecurityPolicy: policy }: HelmetOptions): ConfigError {
  const named = typeof policy === 'object' ? Object.keys(policy.directives ?? {}).map(dashed) : []
  const known = [...named, ...UNQUOTED]
  return new ConfigError(
    `headers.helmet: ${message.replace(/"((?:[^"\\]|\\.)*)"?/gs, (_quoted, given: string) => show(given, known))}`,
  )
}

/** Words of a policy that stand in quotation marks, and are often written without. */
const UNQUOTED = ['none', 'self', 'unsafe-inline', 'unsafe-eval', 'strict-dynamic']

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

type Check = (option: string, value: unknown) => unknown

const text: Check = (option, value) => {
  if (typeof value !== 'string') throw new ConfigError(`${option} must be a string, got ${show(value)}`)
}
const texts: Check = (option, value) => {
  for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) text(option, one)
}

/** helmet takes whatever is truthy for `true`, and looks at nothing it does not know. */
const WITH_OPTIONS: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  contentSecurityPolicy: { useDefaults: boolean, directives, reportOnly: boolean },
  crossOriginEmbedderPolicy: { policy: text },
  crossOriginOpenerPolicy: { policy: text },
  crossOriginResourcePolicy: { policy: text },
  referrerPolicy: { policy: texts },
  strictTransportSecurity: {
    maxAge: (option, value) => integer(option, value, { min: 0 }),
    includeSubDomains: boolean,
    preload: boolean,
  },
  xDnsPrefetchControl: { allow: boolean },
  xFrameOptions: { action: text },
  xPermittedCrossDomainPolicies: { permittedPolicies: text },
}
const ON_OR_OFF = [
  'originAgentCluster',
  'xContentTypeOptions',
  'xDownloadOptions',
  'xPoweredBy',
  'xXssProtection',
]

function merge(preset: 'api' | 'html', overrides: HelmetOptions): HelmetOptions {
  const names = Object.keys(WITH_OPTIONS)
  knownKeys('headers.helmet', overrides, [...names, ...ON_OR_OFF, ...Object.keys(ALIASES)])
  const named: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(overrides)) {
    if ((value as unknown) === undefined) continue
    const name = Object.hasOwn(ALIASES, key) ? ALIASES[key]! : key
    const option = `headers.helmet.${key}`
    if (name in named) throw new ConfigError(`headers.helmet sets ${name} twice, also as an alias; keep one`)
    if (ON_OR_OFF.includes(name)) boolean(option, value)
    else if (typeof value !== 'boolean') checkOptions(option, value, WITH_OPTIONS[name]!)
    named[name] = value
  }
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

function checkOptions(option: string, value: unknown, checks: Readonly<Record<string, Check>>): void {
  knownKeys(option, value, Object.keys(checks))
  for (const [key, inner] of membersOf(option, value))
    if (inner !== undefined) checks[key]!(`${option}.${key}`, inner)
}

/** `null` takes one of helmet's default directives away, and so does a symbol of helmet's own. */
function directives(option: string, value: unknown): void {
  for (const [name, values] of membersOf(option, value, 'of directives')) {
    if (values === null || typeof values === 'symbol') continue
    const parts: unknown[] =
      Array.isArray(values) || values instanceof Set ? [...(values as unknown[])] : [values]
    if (parts.some((part) => typeof part === 'function'))
      throw new ConfigError(
        `${option}.${name} must not have functions: everything here is computed ` +
          'once, at start. Set the Content-Security-Policy of the page that needs a nonce in its handler; it wins',
        'dynamic-header',
      )
    texts(`${option}.${name}`, parts)
  }
}
