import fc from 'fast-check'
import { claimsReader, type ClaimSources } from '../../src/kernel/grants.js'
import { caller } from '../support/as.js'

function read(claims: Record<string, unknown>, sources: ClaimSources = {}) {
  return claimsReader('claims', sources)(caller(claims))
}

const nothing = { roles: [], permissions: [], scopes: [] }

test('reads roles, permissions and scopes from where they usually are', () => {
  expect(read({ roles: ['clerk'], permissions: ['orders:read'], scope: 'a b' })).toEqual({
    roles: ['clerk'],
    permissions: ['orders:read'],
    scopes: ['a', 'b'],
  })
})

test.each([
  ['a string of scopes', { scope: 'a  b ' }, ['a', 'b']],
  ['an empty string', { scope: '' }, []],
  ['a list', { scp: ['a', 'b'] }, ['a', 'b']],
  ['a string in scp', { scp: 'a b' }, ['a', 'b']],
  ['both claims', { scope: 'a', scp: ['b'] }, ['a', 'b']],
  ['a list whose members hold spaces, which no scope does', { scp: ['a b'] }, ['a b']],
])('takes scopes from %s', (_what, claims, scopes) => {
  expect(read(claims).scopes).toEqual(scopes)
})

test('takes a string of roles or permissions as one name', () => {
  expect(read({ roles: 'admin clerk', permissions: 'a b' })).toEqual({
    ...nothing,
    roles: ['admin clerk'],
    permissions: ['a b'],
  })
})

describe('claims at other places', () => {
  test.each<[string, ClaimSources, Record<string, unknown>]>([
    ['a dotted path', { roles: 'realm_access.roles' }, { realm_access: { roles: ['x'] } }],
    [
      'names with dots in them',
      { roles: [['resource_access', 'my.api', 'roles']] },
      { resource_access: { 'my.api': { roles: ['x'] } } },
    ],
    [
      'the URL of a namespace',
      { roles: 'https://shop.example/roles' },
      { 'https://shop.example/roles': ['x'] },
    ],
    ['a function of the claims', { roles: (claims) => claims['groups'] }, { groups: ['x'] }],
  ])('%s', (_what, sources, claims) => {
    expect(read(claims, sources)).toEqual({ ...nothing, roles: ['x'] })
  })

  test('unites the members of several', () => {
    const sources = { roles: ['roles', 'groups', ['a', 'b']] }
    expect(read({ roles: ['x'], groups: ['y'], a: { b: 'z' } }, sources).roles).toEqual(['x', 'y', 'z'])
  })

  test('an empty list reads nothing', () => {
    expect(read({ permissions: ['x'] }, { permissions: [] })).toEqual(nothing)
  })

  test('a function also sees who vouches for the caller', () => {
    const roles: ClaimSources['roles'] = (claims, { issuer }) =>
      issuer === 'https://id.example' ? claims['r'] : []
    expect(read({ r: ['x'] }, { roles }).roles).toEqual(['x'])
  })

  test('a function must answer at once', () => {
    expect(() => read({}, { roles: () => Promise.resolve(['admin']) })).toThrow(
      /claims\.roles returned a promise/,
    )
  })

  test.each([[''], ['a..b'], ['.a'], ['a.'], [[[]]], [[['']]], [[7]], [7], [null], [{}]])(
    'refuses %j at start',
    (path) => {
      expect(() => claimsReader('rbac.claims', { roles: path as never })).toThrow(
        /^rbac\.claims\.roles must be a path/,
      )
    },
  )
})

describe('hostile claims grant nothing', () => {
  test.each<[string, unknown]>([
    ['numbers', 7],
    ['null', null],
    ['an object', { admin: true }],
    ['members that are no strings', [7, null, undefined, ['admin'], { toString: () => 'admin' }, true]],
    ['a list in a list', [['admin']]],
  ])('%s', (_what, value) => {
    expect(read({ roles: value, permissions: value, scope: value, scp: value })).toEqual(nothing)
  })

  test('what is only inherited is not read', () => {
    const inherited = Object.create({ roles: ['admin'], scope: 'admin' }) as Record<string, unknown>
    expect(read(inherited)).toEqual(nothing)
    expect(read({ realm_access: inherited }, { roles: 'realm_access.roles' })).toEqual(nothing)
  })

  test.each(['__proto__', 'constructor.name', 'constructor.prototype', 'toString', 'a.length'])(
    'the path %s finds no property of a prototype',
    (path) => {
      expect(read({ a: 'text' }, { roles: path, permissions: path, scopes: path })).toEqual(nothing)
    },
  )

  test('whatever the claims are, only strings come out, and nothing throws', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('roles', 'permissions', 'scope', 'scp'), fc.anything()),
        (claims) => {
          for (const members of Object.values(read(claims))) {
            for (const member of members) expect(typeof member).toBe('string')
          }
        },
      ),
    )
  })
})
