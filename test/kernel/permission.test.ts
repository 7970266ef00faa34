import fc from 'fast-check'
import { covers, permissionGrant, permissionName } from '../../src/kernel/permission.js'

describe('what a grant covers', () => {
  test.each([
    ['orders:read', 'orders:read', true],
    ['orders:read', 'orders:write', false],
    ['orders:read', 'ORDERS:READ', false],
    ['orders:*', 'orders:read', true],
    ['orders:*', 'orders', false],
    ['orders:*', 'orders:items:read', false],
    ['orders:*', 'orderss:read', false],
    ['*:read', 'orders:read', true],
    ['*:read', 'orders:items:read', false],
    ['orders:*:read', 'orders:items:read', true],
    ['*:*', 'orders:read', true],
    ['*:*', 'orders', false],
    ['*', 'orders', true],
    ['*', 'orders:items:read', true],
    ['orders:*', '*', false],
    ['orders:*', 'orders:*', true],
    ['orders:read', 'orders:*', false],
  ])('%s covers %s: %s', (grant, permission, expected) => {
    expect(covers(grant, permission)).toBe(expected)
  })

  test('agrees with a regular expression made of the grant', () => {
    const segment = fc.constantFrom('a', 'b', 'ab')
    const grant = fc.array(fc.oneof(segment, fc.constant('*')), { minLength: 2, maxLength: 4 })
    const name = fc.array(segment, { minLength: 1, maxLength: 4 })

    fc.assert(
      fc.property(grant, name, (pattern, asked) => {
        const reference = new RegExp(`^${pattern.map((part) => (part === '*' ? '[^:]+' : part)).join(':')}$`)
        expect(covers(pattern.join(':'), asked.join(':'))).toBe(reference.test(asked.join(':')))
      }),
    )
  })
})

test.each(['orders:read', 'orders', 'a:b:c', 'read-orders', 'orders.read', 'commandes:cr\u00e9er'])(
  '%s is a permission',
  (name) => {
    expect(permissionName('option', name)).toBe(name)
  },
)

test.each([
  [''],
  [' '],
  ['orders: read'],
  ['orders:read\n'],
  ['orders:\u0000'],
  [':read'],
  ['orders:'],
  ['a::b'],
  [7],
  [undefined],
  [null],
  [['a']],
])('%j is neither a permission nor a grant', (name) => {
  expect(() => permissionName('option', name)).toThrow(/^option /)
  expect(() => permissionGrant('option', name)).toThrow(/^option /)
})

test.each(['*', 'orders:*', '*:read'])('%s is a grant, and no permission to ask for', (grant) => {
  expect(permissionGrant('option', grant)).toBe(grant)
  expect(() => permissionName('option', grant)).toThrow(/must name one permission.*'authenticated'/)
})

test.each(['ord*', 'orders:re*', '**', 'orders:**'])(
  '%s is refused, because a star stands for a whole segment',
  (grant) => {
    expect(() => permissionGrant('option', grant)).toThrow(/"\*" inside a segment/)
  },
)
