import { didYouMean, quoted, show, word } from './check.js'
import { ConfigError } from './config-error.js'
import type { SecurityContext } from './context.js'
import { covers, permissionName } from './permission.js'
import { roleName, type CompiledCatalogue, type Grants } from './roles.js'
import { scopeName } from './scope.js'

export {
  CATALOGUE_KEYS,
  compileCatalogue,
  matrix,
  type Catalogue,
  type CompiledCatalogue,
  type Role,
  type RoleMatrix,
  type Roles,
} from './roles.js'

/**
 * What a caller must hold. A string is a permission, except `'authenticated'`: any caller who is known. A scope never
 * counts as a permission, and a role never as a scope.
 */
export type Rule =
  | 'authenticated'
  | (string & {})
  | { readonly permission: string }
  | { readonly scope: string }
  | { readonly role: string }
  | { readonly all: readonly Rule[] }
  | { readonly any: readonly Rule[] }

type Caller = Pick<SecurityContext, 'principal'>

/** A checked rule, ready to be asked. Without a principal the answer is always no. */
export interface CompiledRule {
  test(ctx: Caller): boolean
  /** The rule in words, for operators: `permission orders:read and (scope a or role b)`. */
  describe(): string
  /**
   * All scopes that a token needs to pass, if it lacks nothing but scopes (RFC 6750 section 3.1); `undefined` if more
   * scopes would not help.
   */
  missingScopes(ctx: Caller): readonly string[] | undefined
  /** Names that the rule mentions anywhere. */
  readonly scopes: readonly string[]
  readonly permissions: readonly string[]
  /** Whoever is known passes. */
  readonly trivial: boolean
}

/** One part of a rule, over what a known caller holds. */
interface Part {
  readonly text: string
  readonly trivial: boolean
  test(grants: Grants): boolean
  /** Every scope this part takes to pass, those already held included; `undefined` if scopes alone do not suffice. */
  scopesToPass(grants: Grants): readonly string[] | undefined
}

/** Deeper than this nobody reads a rule; a rule that contains itself ends here too. */
const MAX_DEPTH = 16

/**
 * Checks a rule against a catalogue.
 *
 * @param option names the rule in messages: `routes["POST /orders"].rbac`
 * @throws ConfigError for a malformed or empty rule, and for a role, permission or scope that the catalogue does not know
 */
export function compileRule(option: string, rule: Rule, catalogue: CompiledCatalogue): CompiledRule {
  const mentioned = { scopes: new Set<string>(), permissions: new Set<string>() }
  const whole = part(option, rule, { catalogue, mentioned, depth: 0 })

  return {
    test: ({ principal }) => principal !== undefined && whole.test(catalogue.grantsOf(principal)),
    describe: () => whole.text,
    missingScopes({ principal }) {
      if (principal === undefined) return undefined
      const grants = catalogue.grantsOf(principal)
      return whole.test(grants) ? undefined : whole.scopesToPass(grants)
    },
    scopes: [...mentioned.scopes],
    permissions: [...mentioned.permissions],
    trivial: whole.trivial,
  }
}

interface Compiling {
  readonly catalogue: CompiledCatalogue
  readonly mentioned: { readonly scopes: Set<string>; readonly permissions: Set<string> }
  readonly depth: number
}

function part(option: string, rule: unknown, compiling: Compiling): Part {
  if (compiling.depth > MAX_DEPTH) {
    throw new ConfigError(`${option} is nested more than ${MAX_DEPTH} levels deep; flatten the rule`)
  }
  if (rule === 'authenticated') return authenticated
  if (typeof rule === 'string') return permission(option, rule, compiling)

  const keys = typeof rule === 'object' && rule !== null && !Array.isArray(rule) ? Object.keys(rule) : []
  const kind = keys[0]
  if (keys.length !== 1 || kind === undefined || !Object.hasOwn(kinds, kind)) {
    throw new ConfigError(
      `${option} must be 'authenticated', a permission, or an object with exactly one of ` +
        `${Object.keys(kinds).join(', ')}, got ${Array.isArray(rule) ? 'an array; write { all: [...] } or { any: [...] }' : show(rule)}` +
        (keys.length === 1 ? didYouMean(kind, Object.keys(kinds)) : ''),
      'invalid-rule',
    )
  }
  return kinds[kind as keyof typeof kinds](
    `${option}.${kind}`,
    (rule as Record<string, unknown>)[kind],
    compiling,
  )
}

const kinds = { permission, scope, role, all, any }

const authenticated: Part = {
  text: 'authenticated',
  trivial: true,
  test: () => true,
  scopesToPass: () => [],
}

function permission(option: string, value: unknown, { catalogue, mentioned }: Compiling): Part {
  const name = permissionName(option, value)
  const granting = new Set(catalogue.granting(name))
  const { known } = catalogue
  if (known !== undefined && !known.includes(name) && !grantedByPattern(catalogue, name)) {
    throw new ConfigError(
      `${option} names ${word('permission', name, known)}, which no role grants and ${catalogue.option}.permissions does not list` +
        unlikePermission(name, catalogue, known),
      'unknown-permission',
    )
  }
  mentioned.permissions.add(name)
  return leaf(`permission ${name}`, ({ permissions, roles }) => {
    if (permissions.has(name)) return true
    for (const held of roles) if (granting.has(held)) return true
    return false
  })
}

/** A lone `*` grants everything, typing errors included, and so proves nothing about a name. */
function grantedByPattern({ roles }: CompiledCatalogue, name: string): boolean {
  return [...(roles?.values() ?? [])].some((grants) =>
    [...grants].some((grant) => grant !== '*' && covers(grant, name)),
  )
}

function unlikePermission(
  name: string,
  { roles, scopes }: CompiledCatalogue,
  known: readonly string[],
): string {
  if (roles?.has(name)) return `. It is a role: write { role: ${quoted(name)} }`
  if (scopes?.has(name)) return `. It is a scope: write { scope: ${quoted(name)} }`
  return didYouMean(name, [...known, 'authenticated'])
}

function scope(option: string, value: unknown, { catalogue, mentioned }: Compiling): Part {
  const name = scopeName(option, value)
  if (catalogue.scopes !== undefined && !catalogue.scopes.has(name)) {
    throw new ConfigError(
      `${option} names ${word('scope', name, [...catalogue.scopes])}, which ${catalogue.option}.scopes does not list${didYouMean(name, [...catalogue.scopes])}`,
      'unknown-scope',
    )
  }
  mentioned.scopes.add(name)
  const needed = [name]
  return { ...leaf(`scope ${name}`, ({ scopes }) => scopes.has(name)), scopesToPass: () => needed }
}

function role(option: string, value: unknown, { catalogue }: Compiling): Part {
  const name = roleName(option, value)
  if (catalogue.roles !== undefined && !catalogue.roles.has(name)) {
    throw new ConfigError(
      `${option} names ${word('role', name, [...catalogue.roles.keys()])}, which ${catalogue.option}.roles does not have${didYouMean(name, [...catalogue.roles.keys()])}`,
      'unknown-role',
    )
  }
  return leaf(`role ${name}`, ({ roles }) => roles.has(name))
}

function leaf(text: string, test: (grants: Grants) => boolean): Part {
  return { text, trivial: false, test, scopesToPass: (grants) => (test(grants) ? [] : undefined) }
}

function all(option: string, value: unknown, compiling: Compiling): Part {
  const parts = list(option, value, compiling)
  return {
    text: joined(parts, ' and '),
    trivial: parts.every(({ trivial }) => trivial),
    test: (grants) => parts.every((one) => one.test(grants)),
    scopesToPass(grants) {
      const needed = parts.map((one) => one.scopesToPass(grants))
      return needed.every((scopes) => scopes !== undefined) ? [...new Set(needed.flat())] : undefined
    },
  }
}

function any(option: string, value: unknown, compiling: Compiling): Part {
  const parts = list(option, value, compiling)
  return {
    text: joined(parts, ' or '),
    trivial: parts.some(({ trivial }) => trivial),
    test: (grants) => parts.some((one) => one.test(grants)),
    // What the caller already passes is kept; otherwise the first way in that scopes can open.
    scopesToPass(grants) {
      const open = parts.filter((one) => one.test(grants))
      return (open.length > 0 ? open : parts)
        .map((one) => one.scopesToPass(grants))
        .find((scopes) => scopes !== undefined)
    },
  }
}

function list(option: string, value: unknown, compiling: Compiling): readonly Part[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ConfigError(
      `${option} must be a list of at least one rule, got ${Array.isArray(value) ? 'an empty one' : show(value)}`,
      'invalid-rule',
    )
  }
  const inner = { ...compiling, depth: compiling.depth + 1 }
  return value.map((one, i) => part(`${option}[${i}]`, one, inner))
}

function joined(parts: readonly Part[], word: string): string {
  return parts
    .map(({ text }) => (parts.length > 1 && / (?:and|or) /.test(text) ? `(${text})` : text))
    .join(word)
}
