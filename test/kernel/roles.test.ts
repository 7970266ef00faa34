import { ConfigError } from '../../src/kernel/config-error.js'
import { compileCatalogue, matrix, type Catalogue } from '../../src/kernel/rule.js'
import { caller } from '../support/as.js'

const roles = {
  clerk: ['orders:read', 'orders:create'],
  lead: { inherits: ['clerk'], permissions: ['orders:cancel'] },
  auditor: { permissions: ['*:read'] },
  head: { inherits: ['lead', 'auditor'] },
  admin: ['*'],
  guest: [],
}

describe('inheritance', () => {
  test.each([
    ['clerk', ['clerk']],
    ['lead', ['clerk', 'lead']],
    ['head', ['auditor', 'clerk', 'head', 'lead']],
    ['admin', ['admin']],
  ])('who is %s is also what it inherits from', (role, held) => {
    const grants = compileCatalogue({ roles }).grantsOf(caller({ roles: [role] }))
    expect([...grants.roles].sort()).toEqual(held)
  })

  test('works through a diamond', () => {
    const diamond = { a: ['p'], b: { inherits: ['a'] }, c: { inherits: ['a'] }, d: { inherits: ['b', 'c'] } }
    expect(compileCatalogue({ roles: diamond }).granting('p')).toEqual(['a', 'b', 'c', 'd'])
  })

  test.each<[string, Catalogue['roles'], string]>([
    ['itself', { a: { inherits: ['a'] } }, 'a -> a'],
    ['each other', { a: { inherits: ['b'] }, b: { inherits: ['a'] } }, 'a -> b -> a'],
    [
      'one another behind an innocent one',
      { x: { inherits: ['a'] }, a: { inherits: ['b'] }, b: { inherits: ['c'] }, c: { inherits: ['a'] } },
      'a -> b -> c -> a',
    ],
  ])('roles that inherit from %s are refused at start', (_whom, circle, path) => {
    expect(() => compileCatalogue({ roles: circle! })).toThrow(
      new ConfigError(`rbac.roles inherit in a circle: ${path}. Remove one of the steps`),
    )
  })

  test('an unknown role is refused, and a near miss named', () => {
    const typo = { clerk: ['orders:read'], lead: { inherits: ['clrek'] } }
    expect(() => compileCatalogue({ roles: typo })).toThrow(
      'rbac.roles.lead.inherits names the role "clrek", which rbac.roles does not have. Did you mean "clerk"?',
    )
  })

  test.each(['constructor', '__proto__', 'toString'])('%s is no role unless it is declared', (name) => {
    expect(() => compileCatalogue({ roles: { a: { inherits: [name] } } })).toThrow(/does not have/)
  })
})

describe('a malformed catalogue is refused at start', () => {
  test.each<[unknown, RegExp]>([
    [{ roles: ['clerk'] }, /^rbac\.roles must be an object/],
    [{ roles: { clerk: 'orders:read' } }, /^rbac\.roles\.clerk must be an object of options/],
    [{ roles: { clerk: null } }, /^rbac\.roles\.clerk must be/],
    [{ roles: { clerk: { permissions: 'orders:read' } } }, /^rbac\.roles\.clerk\.permissions must be a list/],
    [{ roles: { clerk: { inherits: 'lead' } } }, /^rbac\.roles\.clerk\.inherits must be a list/],
    [{ roles: { clerk: { inherit: [] } } }, /has no option "inherit". Did you mean "inherits"\?/],
    [{ roles: { clerk: [''] } }, /^rbac\.roles\.clerk must be a permission/],
    [{ roles: { clerk: ['or*'] } }, /inside a segment/],
    [{ roles: { '': [] } }, /^rbac\.roles must name a role/],
    [{ roles: { ' clerk': [] } }, /^rbac\.roles must name a role/],
    [{ permissions: 'orders:read' }, /^rbac\.permissions must be a list/],
    [{ permissions: ['orders:*'] }, /^rbac\.permissions must name one permission/],
    [{ scopes: ['a b'] }, /^rbac\.scopes must name one scope/],
    [{ scopes: 'a' }, /^rbac\.scopes must be a list/],
    [{ claims: { role: 'x' } }, /rbac\.claims has no option "role". Did you mean "roles"\?/],
    [{ claims: 'roles' }, /^rbac\.claims must be an object/],
  ])('%j', (catalogue, message) => {
    expect(() => compileCatalogue(catalogue as Catalogue)).toThrow(ConfigError)
    expect(() => compileCatalogue(catalogue as Catalogue)).toThrow(message)
  })
})

describe('grants', () => {
  test('are worked out once per caller', () => {
    let reads = 0
    const catalogue = compileCatalogue({ claims: { roles: () => (reads++, ['x']) } })
    const ann = caller()

    expect(catalogue.grantsOf(ann)).toBe(catalogue.grantsOf(ann))
    expect(reads).toBe(1)
    catalogue.grantsOf(caller())
    expect(reads).toBe(2)
  })

  test('a compiled catalogue is taken as it is', () => {
    const catalogue = compileCatalogue({ roles })
    expect(compileCatalogue(catalogue)).toBe(catalogue)
  })

  test('the wildcard of a token is a letter like any other (ASVS 8.2.1)', () => {
    const catalogue = compileCatalogue({ roles })
    expect([...catalogue.grantsOf(caller({ permissions: ['*', 'orders:*'] })).permissions]).toEqual([
      '*',
      'orders:*',
    ])
  })
})

describe('the matrix', () => {
  test('says for each role which permissions it holds (ASVS 8.1.1)', () => {
    expect(matrix({ roles, permissions: ['orders:archive'] }, ['users:read'])).toEqual({
      clerk: row('orders:create', 'orders:read'),
      lead: row('orders:cancel', 'orders:create', 'orders:read'),
      auditor: row('*:read', 'orders:read', 'users:read'),
      head: row('*:read', 'orders:cancel', 'orders:create', 'orders:read', 'users:read'),
      admin: row(...columns),
      guest: row(),
    })
  })

  const columns = [
    '*',
    '*:read',
    'orders:archive',
    'orders:cancel',
    'orders:create',
    'orders:read',
    'users:read',
  ]
  function row(...held: string[]) {
    return Object.fromEntries(columns.map((column) => [column, held.includes(column)]))
  }

  test('is empty without roles', () => {
    expect(matrix(undefined)).toEqual({})
    expect(matrix({ permissions: ['a'] })).toEqual({})
  })
})
