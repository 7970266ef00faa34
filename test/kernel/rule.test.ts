import fc from 'fast-check'
import { compileCatalogue, compileRule, type Catalogue, type Rule } from '../../src/kernel/rule.js'
import { caller } from '../support/as.js'

const catalogue: Catalogue = {
  roles: {
    clerk: ['orders:read', 'orders:create'],
    lead: { inherits: ['clerk'], permissions: ['orders:cancel'] },
    keeper: ['stock:*'],
    admin: ['*'],
  },
  permissions: ['reports:read'],
}

function compiled(rule: Rule, words: Catalogue = catalogue) {
  return compileRule('rule', rule, compileCatalogue(words))
}

function passes(rule: Rule, claims: Record<string, unknown>, words: Catalogue = catalogue): boolean {
  return compiled(rule, words).test({ principal: caller(claims) })
}

describe('who passes (ASVS 8.2.1)', () => {
  test.each<[Rule, Record<string, unknown>, boolean]>([
    ['authenticated', {}, true],
    ['orders:read', { roles: ['clerk'] }, true],
    ['orders:read', { roles: ['lead'] }, true],
    ['orders:cancel', { roles: ['clerk'] }, false],
    ['orders:cancel', { roles: ['lead'] }, true],
    ['orders:cancel', { roles: ['admin'] }, true],
    ['stock:count', { roles: ['keeper'] }, true],
    ['orders:read', { permissions: ['orders:read'] }, true],
    ['orders:read', { permissions: 'orders:read' }, true],
    ['orders:read', {}, false],
    ['orders:read', { roles: ['stranger'] }, false],
    ['orders:read', { roles: ['Clerk'] }, false],
    [{ permission: 'orders:read' }, { roles: ['clerk'] }, true],
    [{ role: 'clerk' }, { roles: ['clerk'] }, true],
    [{ role: 'clerk' }, { roles: ['lead'] }, true],
    [{ role: 'lead' }, { roles: ['clerk'] }, false],
    [{ role: 'clerk' }, { roles: ['admin'] }, false],
    [{ scope: 'orders.read' }, { scope: 'openid orders.read' }, true],
    [{ scope: 'orders.read' }, { scp: ['orders.read'] }, true],
    [{ scope: 'orders.read' }, { scope: 'orders.readonly' }, false],
    [{ all: ['orders:read', { scope: 'a' }] }, { roles: ['clerk'], scope: 'a' }, true],
    [{ all: ['orders:read', { scope: 'a' }] }, { roles: ['clerk'] }, false],
    [{ all: ['orders:read', { scope: 'a' }] }, { scope: 'a' }, false],
    [{ any: ['orders:read', { scope: 'a' }] }, { roles: ['clerk'] }, true],
    [{ any: ['orders:read', { scope: 'a' }] }, { scope: 'a' }, true],
    [{ any: ['orders:read', { scope: 'a' }] }, {}, false],
    [{ any: [{ all: ['orders:read', { scope: 'a' }] }, { role: 'lead' }] }, { roles: ['lead'] }, true],
  ])('%j for %j: %s', (rule, claims, expected) => {
    expect(passes(rule, claims)).toBe(expected)
  })

  test.each<Rule>(['authenticated', 'orders:read', { any: ['authenticated', 'orders:read'] }])(
    'nobody who is not known passes %j',
    (rule) => {
      expect(compiled(rule).test({ principal: undefined })).toBe(false)
    },
  )
})

describe('kinds are never taken for one another', () => {
  const same = { roles: { 'orders:read': ['x'] }, permissions: ['orders:read'], scopes: ['orders:read'] }

  test.each<[Rule, string[]]>([
    ['orders:read', ['permissions']],
    [{ permission: 'orders:read' }, ['permissions']],
    [{ scope: 'orders:read' }, ['scope', 'scp']],
    [{ role: 'orders:read' }, ['roles']],
  ])('%j is held by %j only', (rule, holders) => {
    for (const claim of ['roles', 'permissions', 'scope', 'scp', 'groups', 'aud']) {
      expect([claim, passes(rule, { [claim]: ['orders:read'] }, same)]).toEqual([
        claim,
        holders.includes(claim),
      ])
    }
  })

  test.each(['*', '*:*', 'orders:*', '**'])('a token whose claims say %s holds nothing by it', (star) => {
    const claims = { roles: [star], permissions: [star], scope: star }
    expect(passes('orders:read', claims)).toBe(false)
    expect(passes({ scope: 'orders:read' }, claims)).toBe(false)
    expect(passes({ role: 'clerk' }, claims)).toBe(false)
  })

  test("a permission called 'authenticated' has to be written out, and be held", () => {
    const words = { permissions: ['authenticated'] }
    expect(passes({ permission: 'authenticated' }, {}, words)).toBe(false)
    expect(passes({ permission: 'authenticated' }, { permissions: ['authenticated'] }, words)).toBe(true)
  })
})

describe('unknown words are refused at start', () => {
  test.each<[Rule, string]>([
    [
      'orders:raed',
      'rule names the permission "orders:raed", which no role grants and rbac.permissions does not list. Did you mean "orders:read"?',
    ],
    [
      { permission: 'orders:raed' },
      'rule.permission names the permission "orders:raed", which no role grants and rbac.permissions does not list. Did you mean "orders:read"?',
    ],
    ['reports:reed', 'Did you mean "reports:read"?'],
    ['authenticatd', 'Did you mean "authenticated"?'],
    ['lead', 'It is a role: write { role: "lead" }'],
    [
      { role: 'clrek' },
      'rule.role names the role "clrek", which rbac.roles does not have. Did you mean "clerk"?',
    ],
    [{ role: 'constructor' }, 'rbac.roles does not have'],
    [
      { any: ['orders:read', { all: [{ role: 'nobody' }] }] },
      'rule.any[1].all[0].role names a role (a string of 6 characters)',
    ],
  ])('%j', (rule, message) => {
    expect(() => compiled(rule)).toThrow(message)
  })

  test('a lone star makes no permission known, a pattern does', () => {
    expect(() => compiled('anything', { roles: { admin: ['*'] } })).toThrow(/no role grants/)
    expect(compiled('stock:count').permissions).toEqual(['stock:count'])
  })

  test('scopes are only checked if they are listed', () => {
    expect(compiled({ scope: 'anything' }).scopes).toEqual(['anything'])
    const words = { scopes: ['orders.read'] }
    expect(() => compiled({ scope: 'order.read' }, words)).toThrow(
      /rbac\.scopes does not list. Did you mean "orders.read"\?/,
    )
    expect(() => compiled('orders.read', { ...words, permissions: ['x'] })).toThrow(
      'It is a scope: write { scope: "orders.read" }',
    )
  })

  test('without a catalogue, roles and permissions are taken from the claims unchecked', () => {
    expect(passes('anything', { permissions: ['anything'] }, {})).toBe(true)
    expect(passes({ role: 'anyone' }, { roles: ['anyone'] }, {})).toBe(true)
    expect(passes('anything', { roles: ['anything'] }, {})).toBe(false)
  })
})

describe('malformed rules are refused at start', () => {
  const circular: { all: unknown[] } = { all: [] }
  circular.all.push(circular)

  test.each<[string, unknown, RegExp]>([
    ['an empty string', '', /^rule must be a permission/],
    ['white space', ' orders:read', /^rule must be a permission/],
    ['a wildcard', 'orders:*', /^rule must name one permission/],
    ['a lone star', '*', /write 'authenticated'/],
    ['true', true, /^rule must be 'authenticated', a permission, or an object/],
    ['null', null, /got null/],
    ['undefined', undefined, /got undefined/],
    ['a list', ['a', 'b'], /write \{ all: \[\.\.\.\] \} or \{ any: \[\.\.\.\] \}/],
    ['an empty object', {}, /exactly one of permission, scope, role, all, any/],
    ['two kinds at once', { permission: 'a', scope: 'b' }, /exactly one of/],
    ['an unknown kind', { rol: 'a' }, /Did you mean "role"\?/],
    ['a kind of every object', { constructor: 'a' }, /exactly one of/],
    ['no rules in all', { all: [] }, /^rule\.all must be a list of at least one rule, got an empty one/],
    ['no rules in any', { any: [] }, /^rule\.any must be a list of at least one rule/],
    ['no list in any', { any: 'a' }, /^rule\.any must be a list of at least one rule/],
    ['several permissions', { permission: ['a', 'b'] }, /^rule\.permission must be a permission/],
    ['an empty role', { role: '' }, /^rule\.role must name a role/],
    ['an empty scope', { scope: '' }, /^rule\.scope must name one scope/],
    ['two scopes in a string', { scope: 'a b' }, /For several write \{ all:/],
    ['a scope that could leave its quotes', { scope: 'a", x="' }, /^rule\.scope must name one scope/],
    ['a scope with a line break', { scope: 'a\r\nX: y' }, /^rule\.scope must name one scope/],
    ['a rule that holds itself', circular, /nested more than 16 levels/],
  ])('%s', (_what, rule, message) => {
    expect(() => compiled(rule as Rule, {})).toThrow(message)
  })
})

describe('in words', () => {
  test.each<[Rule, string]>([
    ['authenticated', 'authenticated'],
    ['orders:read', 'permission orders:read'],
    [{ role: 'lead' }, 'role lead'],
    [{ any: ['orders:read', { scope: 'a' }] }, 'permission orders:read or scope a'],
    [
      { all: ['orders:read', { any: [{ scope: 'a' }, { role: 'lead' }] }] },
      'permission orders:read and (scope a or role lead)',
    ],
    [{ all: [{ all: ['orders:read'] }] }, 'permission orders:read'],
  ])('%j', (rule, text) => {
    expect(compiled(rule).describe()).toBe(text)
  })

  test.each<[Rule, boolean]>([
    ['authenticated', true],
    ['orders:read', false],
    [{ any: ['orders:read', 'authenticated'] }, true],
    [{ all: ['orders:read', 'authenticated'] }, false],
    [{ all: [{ any: ['authenticated', 'orders:read'] }, 'authenticated'] }, true],
  ])('%j lets everybody pass who is known: %s', (rule, trivial) => {
    expect(compiled(rule).trivial).toBe(trivial)
  })
})

describe('the scopes that would help (RFC 6750 section 3.1)', () => {
  test.each<[string, Rule, Record<string, unknown>, readonly string[] | undefined]>([
    ['the one that is missing', { scope: 'a' }, {}, ['a']],
    [
      'those already held too, because a new token needs them again',
      { all: [{ scope: 'a' }, { scope: 'b' }] },
      { scope: 'a' },
      ['a', 'b'],
    ],
    ['one way in, not all of them', { any: [{ scope: 'a' }, { scope: 'b' }] }, {}, ['a']],
    ['none, if a permission is missing as well', { all: [{ scope: 'a' }, 'orders:read'] }, {}, undefined],
    [
      'the scope, if the permission is there',
      { all: [{ scope: 'a' }, 'orders:read'] },
      { roles: ['clerk'] },
      ['a'],
    ],
    ['the way in that scopes can open', { any: ['orders:read', { scope: 'b' }] }, {}, ['b']],
    [
      'the alternative that the caller holds already',
      { all: [{ any: [{ scope: 'a' }, { scope: 'b' }] }, { scope: 'c' }] },
      { scope: 'b' },
      ['b', 'c'],
    ],
    ['nothing twice', { all: [{ scope: 'a' }, { any: [{ scope: 'a' }] }] }, {}, ['a']],
    ['none, if only a role is missing', { role: 'lead' }, { scope: 'a' }, undefined],
    ['none, if nothing is missing', { scope: 'a' }, { scope: 'a' }, undefined],
  ])('are %s', (_what, rule, claims, scopes) => {
    expect(compiled(rule).missingScopes({ principal: caller(claims) })).toEqual(scopes)
  })

  test('are none for a caller who is not known', () => {
    expect(compiled({ scope: 'a' }).missingScopes({ principal: undefined })).toBeUndefined()
  })

  test('let the caller pass once they are granted, whatever the rule', () => {
    fc.assert(
      fc.property(anyRule, anyClaims, (rule, claims) => {
        const one = compiled(rule)
        const missing = one.missingScopes({ principal: caller(claims) })
        if (missing === undefined) {
          // Then either nothing is missing, or all scopes in the world would not help.
          const everything = { ...claims, scope: 'a b c' }
          const before = one.test({ principal: caller(claims) })
          expect(one.test({ principal: caller(everything) })).toBe(before)
        } else {
          expect(one.test({ principal: caller(claims) })).toBe(false)
          expect(one.test({ principal: caller({ ...claims, scope: missing.join(' ') }) })).toBe(true)
        }
      }),
    )
  })
})

test('a caller who holds more never passes less', () => {
  fc.assert(
    fc.property(anyRule, anyClaims, anyClaims, (rule, less, added) => {
      const more = {
        roles: [...less.roles, ...added.roles],
        permissions: [...less.permissions, ...added.permissions],
        scope: `${less.scope} ${added.scope}`,
      }
      expect(passes(rule, more) || !passes(rule, less)).toBe(true)
    }),
  )
})

const anyClaims = fc.record({
  roles: fc.subarray(['clerk', 'lead', 'keeper', 'admin', 'stranger']),
  permissions: fc.subarray(['orders:read', 'orders:cancel', 'stock:count', '*']),
  scope: fc.subarray(['a', 'b', 'c']).map((scopes) => scopes.join(' ')),
})

const { rule: anyRule } = fc.letrec<{ rule: Rule }>((tie) => ({
  rule: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<Rule>('orders:read', 'orders:cancel', 'stock:count'),
    fc.constantFrom('a', 'b', 'c').map((scope) => ({ scope })),
    fc.constantFrom('clerk', 'lead', 'admin').map((role) => ({ role })),
    fc.array(tie('rule'), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
    fc.array(tie('rule'), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
  ),
}))
