import { didYouMean, knownKeys, membersOf, show, word } from './check.js'
import { ConfigError } from './config-error.js'
import type { Principal } from './context.js'
import { claimsReader, type Claimed, type ClaimSources } from './grants.js'
import { covers, permissionGrant, permissionName } from './permission.js'
import { scopeName } from './scope.js'

/** A role with everything that the roles named in `inherits` have, and `permissions` besides. */
export interface Role {
  inherits?: readonly string[]
  permissions?: readonly string[]
}

/** Roles by name. A bare list is short for `{ permissions }`. */
export type Roles = Readonly<Record<string, readonly string[] | Role>>

/** The words that access rules may use, and where the claims of a caller are found. */
export interface Catalogue {
  /**
   * Roles and what they grant: `{ clerk: ['orders:read'], lead: { inherits: ['clerk'], permissions: ['orders:*'] }, admin:
   * ['*'] }`. A `*` stands for one segment; a lone `'*'` grants everything. Default: none, and then roles and permissions
   * are taken from the claims unchecked. Inheritance in a circle and unknown roles are a `ConfigError`.
   */
  roles?: Roles
  /** Permissions that exist besides those that a role grants by name. Default: none. */
  permissions?: readonly string[]
  /** The scopes that exist. Default: not known, and rules may name any. */
  scopes?: readonly string[]
  /** Where a caller's roles, permissions and scopes are. Default: `roles`, `permissions`, and `scope` or `scp`. */
  claims?: ClaimSources
}

/** The options of a catalogue, for those who accept them beside their own. */
export const CATALOGUE_KEYS = ['roles', 'permissions', 'scopes', 'claims'] as const

/** What a principal holds. A role brings the roles it inherits. */
export interface Grants {
  readonly roles: ReadonlySet<string>
  readonly permissions: ReadonlySet<string>
  readonly scopes: ReadonlySet<string>
}

/** A checked catalogue. Made once at start; rules that share it also share what they know about a principal. */
export class CompiledCatalogue {
  private readonly held = new WeakMap<Principal, Grants>()

  /**
   * @param roles what each role grants, inheritance included; `undefined` if roles are taken from claims unchecked
   * @param lineage each role with those it inherits from
   * @param permissions those listed; `undefined` if none are
   */
  constructor(
    readonly option: string,
    readonly roles: ReadonlyMap<string, ReadonlySet<string>> | undefined,
    private readonly lineage: ReadonlyMap<string, ReadonlySet<string>>,
    readonly permissions: ReadonlySet<string> | undefined,
    readonly scopes: ReadonlySet<string> | undefined,
    private readonly read: (principal: Principal) => Claimed,
  ) {}

  /** Permissions that a rule may name; `undefined` if there is no telling. */
  get known(): readonly string[] | undefined {
    if (this.roles === undefined && this.permissions === undefined) return undefined
    const granted = [...(this.roles?.values() ?? [])].flatMap((grants) => [...grants])
    return [
      ...new Set([...granted.filter((grant) => !grant.includes('*')), ...(this.permissions ?? [])]),
    ].sort()
  }

  /** The roles that grant `permission`. */
  granting(permission: string): readonly string[] {
    return [...(this.roles ?? [])]
      .filter(([, grants]) => [...grants].some((grant) => covers(grant, permission)))
      .map(([role]) => role)
  }

  /** Computed once per principal: verified tokens are cached with theirs, and claims never change. */
  grantsOf(principal: Principal): Grants {
    let grants = this.held.get(principal)
    if (grants === undefined) {
      const { roles, permissions, scopes } = this.read(principal)
      grants = {
        roles: setOf(roles.flatMap((role) => [...(this.lineage.get(role) ?? [role])])),
        permissions: setOf(permissions),
        scopes: setOf(scopes),
      }
      this.held.set(principal, grants)
    }
    return grants
  }
}

const NONE: ReadonlySet<string> = new Set()

function setOf(names: readonly string[]): ReadonlySet<string> {
  return names.length === 0 ? NONE : new Set(names)
}

/**
 * Checks a catalogue and works out inheritance.
 *
 * @param option what to call it in messages. Default `'rbac'`.
 * @throws ConfigError for a circle, an unknown role or option, or a malformed name
 */
export function compileCatalogue(
  catalogue: Catalogue | CompiledCatalogue = {},
  option = 'rbac',
): CompiledCatalogue {
  if (catalogue instanceof CompiledCatalogue) return catalogue
  const { roles, permissions, scopes, claims = {} } = catalogue
  knownKeys(`${option}.claims`, claims, ['roles', 'permissions', 'scopes'])

  const declared = roles === undefined ? undefined : declaredRoles(`${option}.roles`, roles)
  const lineage =
    declared === undefined ? new Map<string, Set<string>>() : lineages(`${option}.roles`, declared)
  const grants =
    declared &&
    new Map(
      [...lineage].map(([role, ancestors]) => [
        role,
        new Set([...ancestors].flatMap((name) => declared.get(name)!.permissions)),
      ]),
    )
  return new CompiledCatalogue(
    option,
    grants,
    lineage,
    permissions === undefined
      ? undefined
      : new Set(
          list(`${option}.permissions`, permissions).map((one) =>
            permissionName(`${option}.permissions`, one),
          ),
        ),
    scopes === undefined
      ? undefined
      : new Set(list(`${option}.scopes`, scopes).map((one) => scopeName(`${option}.scopes`, one))),
    claimsReader(`${option}.claims`, claims),
  )
}

const ROLE_KEYS = ['inherits', 'permissions']

type Declared = ReadonlyMap<string, { inherits: readonly string[]; permissions: readonly string[] }>

function declaredRoles(option: string, roles: Roles): Declared {
  const given = membersOf(option, roles, 'of roles')
  const names = given.map(([name]) => name)
  return new Map(
    given.map(([name, role]) => {
      roleName(option, name)
      const at = `${option}.${name}`
      if (Array.isArray(role)) return [name, { inherits: [], permissions: grantList(at, role) }]

      knownKeys(at, role, ROLE_KEYS, ROLE_KEYS)
      const { inherits = [], permissions = [] } = role as Role
      for (const parent of list(`${at}.inherits`, inherits)) {
        if (names.includes(parent as string)) continue
        throw new ConfigError(
          `${at}.inherits names ${word('role', parent, names)}, which ${option} does not have${didYouMean(parent, names)}`,
          'unknown-role',
        )
      }
      return [name, { inherits, permissions: grantList(`${at}.permissions`, permissions) }]
    }),
  )
}

/** Each role with all it inherits from, itself first. */
function lineages(option: string, declared: Declared): ReadonlyMap<string, ReadonlySet<string>> {
  const done = new Map<string, Set<string>>()

  const visit = (name: string, path: readonly string[]): ReadonlySet<string> => {
    const finished = done.get(name)
    if (finished !== undefined) return finished
    if (path.includes(name)) {
      const circle = [...path.slice(path.indexOf(name)), name].join(' -> ')
      throw new ConfigError(`${option} inherit in a circle: ${circle}. Remove one of the steps`, 'role-cycle')
    }
    const ancestors = new Set([name])
    for (const parent of declared.get(name)!.inherits) {
      for (const ancestor of visit(parent, [...path, name])) ancestors.add(ancestor)
    }
    done.set(name, ancestors)
    return ancestors
  }

  for (const name of declared.keys()) visit(name, [])
  return done
}

function grantList(option: string, grants: unknown): readonly string[] {
  return list(option, grants).map((grant) => permissionGrant(option, grant))
}

function list(option: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new ConfigError(`${option} must be a list, got ${show(value)}`)
}

/** @throws ConfigError unless `value` can be the name of a role */
export function roleName(option: string, value: unknown): string {
  if (typeof value === 'string' && value.trim() === value && /^[^\p{C}]+$/u.test(value)) return value
  throw new ConfigError(
    `${option} must name a role, without white space around it or control characters, got ${show(value)}`,
  )
}

/** For each role, which permissions it holds. What `api.roles()` returns; `console.table` prints it. */
export type RoleMatrix = Readonly<Record<string, Readonly<Record<string, boolean>>>>

/**
 * Role x permission. Columns are all permissions that are known, the wildcards that roles grant, and `more`, such as
 * those that rules ask for.
 */
export function matrix(
  catalogue: Catalogue | CompiledCatalogue | undefined,
  more: readonly string[] = [],
): RoleMatrix {
  const { roles = new Map<string, ReadonlySet<string>>(), permissions = [] } = compileCatalogue(catalogue)
  const granted = [...roles.values()].flatMap((grants) => [...grants])
  const columns = [...new Set([...granted, ...permissions, ...more])].sort()

  return Object.fromEntries(
    [...roles].map(([role, grants]) => [
      role,
      Object.fromEntries(
        columns.map((column) => [column, [...grants].some((grant) => covers(grant, column))]),
      ),
    ]),
  )
}
