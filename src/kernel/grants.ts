import { isStrayPromise } from '../lib/when.js'
import { show } from './check.js'
import { ConfigError } from './config-error.js'
import type { Principal } from './context.js'

/** The way to a claim: `'realm_access.roles'`, or its segments if a name has dots in it: `['https://a.example/roles']`. */
export type ClaimPath = string | readonly string[]

/**
 * Where to look: one dotted path, a list of paths whose members are united, or a function. A string with `://` in it is
 * the name of one claim, dots and all. An empty list reads nothing.
 */
export type ClaimSource = string | readonly ClaimPath[] | ClaimReader

/** Returns a string or a list of strings; anything else grants nothing. Must answer at once: a promise is an error (500). */
export type ClaimReader = (claims: Principal['claims'], principal: Principal) => unknown

/** Which claims speak of roles, permissions and scopes. */
export interface ClaimSources {
  /** Default `'roles'`. A string is one role; in a list, members that are no strings are ignored. */
  roles?: ClaimSource
  /** Default `'permissions'`. A string is one permission. A `*` in a claim is a letter like any other. */
  permissions?: ClaimSource
  /** Default `['scope', 'scp']`. A string is separated by spaces (RFC 6749 section 3.3). */
  scopes?: ClaimSource
}

/** What the claims of a principal say, before any role is looked up. */
export interface Claimed {
  readonly roles: readonly string[]
  readonly permissions: readonly string[]
  readonly scopes: readonly string[]
}

/**
 * Reads the claims that grant something. Only own properties are followed, never a prototype's.
 *
 * @throws ConfigError if a path is empty or no path
 */
export function claimsReader(option: string, sources: ClaimSources): (principal: Principal) => Claimed {
  const from = { roles: 'roles', permissions: 'permissions', scopes: ['scope', 'scp'], ...sources }
  const roles = reader(`${option}.roles`, from.roles)
  const permissions = reader(`${option}.permissions`, from.permissions)
  const scopes = reader(`${option}.scopes`, from.scopes)

  return (principal) => ({
    roles: united(roles(principal), asMembers),
    permissions: united(permissions(principal), asMembers),
    scopes: united(scopes(principal), asScopes),
  })
}

function reader(option: string, source: ClaimSource): (principal: Principal) => unknown[] {
  if (typeof source === 'function') {
    return (principal) => {
      const found = source(principal.claims, principal)
      if (isStrayPromise(found)) throw new TypeError(`${option} returned a promise; it must answer at once`)
      return [found]
    }
  }
  const paths = (Array.isArray(source) ? source : [source]).map((path) => segments(option, path))
  return ({ claims }) => paths.map((path) => follow(claims, path))
}

/**
 * Reads one claim, by own properties alone.
 *
 * @throws ConfigError if the path is empty or no path
 */
export function claimReader(option: string, path: ClaimPath): (claims: Principal['claims']) => unknown {
  const names = segments(option, path)
  return (claims) => follow(claims, names)
}

function segments(option: string, path: unknown): readonly string[] {
  const parts: unknown = typeof path !== 'string' ? path : path.includes('://') ? [path] : path.split('.')
  if (
    Array.isArray(parts) &&
    parts.length > 0 &&
    parts.every((part) => typeof part === 'string' && part !== '')
  )
    return parts as string[]
  throw new ConfigError(
    `${option} must be a path such as 'realm_access.roles', a list of paths (a path may itself be a list of names, ` +
      `for names with dots in them), or a function, got ${show(path)}`,
  )
}

function follow(claims: Principal['claims'], path: readonly string[]): unknown {
  let node: unknown = claims
  for (const name of path) {
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, name)) return undefined
    node = (node as Record<string, unknown>)[name]
  }
  return node
}

const NONE: readonly string[] = []

/** Mostly at most one source says something, and then that is the answer. */
function united(values: readonly unknown[], read: (value: unknown) => readonly string[]): readonly string[] {
  let all = NONE
  for (const value of values) {
    const found = read(value)
    if (found.length > 0) all = all.length === 0 ? found : [...all, ...found]
  }
  return all
}

function asMembers(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((member) => typeof member === 'string') : NONE
}

function asScopes(value: unknown): readonly string[] {
  return typeof value === 'string' ? value.split(' ').filter((scope) => scope !== '') : asMembers(value)
}
