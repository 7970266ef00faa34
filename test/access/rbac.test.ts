import { rbac, rbacDefault, rbacRule, type RbacOptions, type RbacSettings } from '../../src/access/rbac.js'
import { challenges } from '../../src/kernel/challenges.js'
import type { Principal } from '../../src/kernel/context.js'
import { contextOf } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import type { Rule } from '../../src/kernel/rule.js'
import type { StageMiddleware } from '../../src/kernel/stage.js'
import { serve, type ServeOptions } from '../../src/testing/index.js'
import { as, caller } from '../support/as.js'

const roles = { clerk: ['orders:read'], lead: { inherits: ['clerk'], permissions: ['orders:cancel'] } }

function behind(principal: Principal | undefined, stage: StageMiddleware, options: ServeOptions = {}) {
  return serve([as(principal), stage], options)
}

const offering = defineStage('offering', (offered: readonly string[]) => ({
  enter(ctx) {
    ctx.set(challenges, offered)
  },
}))

describe('rbac alone', () => {
  test('names every way in that was offered', async () => {
    const { get } = serve([offering(['Bearer realm="shop"', 'Basic realm="shop"']), rbac('authenticated')])

    const reply = await get('/').expect(401)

    expect(reply.headers['www-authenticate']).toBe('Bearer realm="shop", Basic realm="shop"')
  })

  test('refuses whom nobody introduced (ASVS 8.2.1)', async () => {
    const { get, handled } = serve(rbac('authenticated'))

    const reply = await get('/').expect(401).expect('WWW-Authenticate', 'Bearer realm="api"')

    expect(JSON.parse(reply.text).code).toBe('unauthenticated')
    expect(handled()).toBe(0)
  })

  test('brings its catalogue along', async () => {
    const stage = rbac({ require: 'orders:cancel', roles })
    await behind(caller({ roles: ['lead'] }), stage)
      .get('/')
      .expect(200)
    await behind(caller({ roles: ['clerk'] }), stage)
      .get('/')
      .expect(403)
  })

  test('without a catalogue, takes permissions from the claims', async () => {
    await behind(caller({ permissions: ['orders:read'] }), rbac('orders:read'))
      .get('/')
      .expect(200)
    await behind(caller({ permissions: ['orders:write'] }), rbac('orders:read'))
      .get('/')
      .expect(403)
  })

  test('a caller with role claims and no catalogue holds no permission by them', async () => {
    await behind(caller({ roles: ['orders:read'] }), rbac('orders:read'))
      .get('/')
      .expect(403)
  })

  test('in report mode puts the refusal on record and lets the request through', async () => {
    const reported: unknown[] = []
    const { get, handled } = behind(caller(), rbac('orders:read'), {
      enforcement: () => 'report',
      handler: (req, res) => {
        reported.push(...(contextOf(req)?.reported ?? []))
        res.end('ok')
      },
    })

    await get('/').expect(200)

    expect(reported).toEqual([{ stage: 'rbac', problem: expect.objectContaining({ code: 'forbidden' }) }])
    expect(handled()).toBe(1)
  })
})

describe('a caller who lacks something (ASVS 8.3.1)', () => {
  test('is forbidden, and not told what is missing', async () => {
    const { get, handled } = behind(caller({ roles: ['clerk'] }), rbac({ require: 'orders:cancel', roles }))

    const reply = await get('/').expect(403)

    expect(JSON.parse(reply.text)).toEqual({
      type: 'urn:secure-api:problem:forbidden',
      title: 'The caller may not do this.',
      status: 403,
      code: 'forbidden',
    })
    expect(reply.headers).not.toHaveProperty('www-authenticate')
    expect(JSON.stringify(reply.headers)).not.toContain('orders:cancel')
    expect(handled()).toBe(0)
  })

  test('appears in the trace with the rule in words', async () => {
    let trace: unknown
    const { get } = behind(caller(), rbac({ require: { any: ['orders:read', { role: 'lead' }] }, roles }), {
      trace: true,
      respond: (ctx) => {
        trace = ctx.trace
        ctx.res.end()
      },
    })

    await get('/')

    expect(trace).toContainEqual(
      expect.objectContaining({
        stage: 'rbac',
        verdict: 'refused',
        code: 'forbidden',
        rule: 'permission orders:read or role lead',
        why: 'the caller does not hold what the rule asks for',
      }),
    )
  })

  test('hears which scopes would help, if it came with a bearer token (RFC 6750 section 3.1)', async () => {
    const rule: Rule = { all: [{ scope: 'orders.read' }, { scope: 'orders.write' }] }
    const { get, handled } = behind(caller({ scope: 'orders.read' }), rbac(rule))

    const reply = await get('/')
      .expect(403)
      .expect(
        'WWW-Authenticate',
        'Bearer realm="api", error="insufficient_scope", ' +
          'error_description="The access token lacks a required scope", scope="orders.read orders.write"',
      )

    expect(JSON.parse(reply.text).code).toBe('insufficient-scope')
    expect(handled()).toBe(0)
  })

  test('hears it in the realm of its own authorization server', async () => {
    const offered = ['Basic realm="shop"', 'Bearer realm="shop", resource_metadata="https://a.example/m"']
    const { get } = serve([as(caller({ scope: '' })), offering(offered), rbac({ scope: 'a' })])

    await get('/')
      .expect(403)
      .expect(
        'WWW-Authenticate',
        'Bearer realm="shop", resource_metadata="https://a.example/m", error="insufficient_scope", ' +
          'error_description="The access token lacks a required scope", scope="a"',
      )
  })

  test.each(['apiKey', 'session', 'Bearer', ''])('and is only forbidden if it came by %j', async (method) => {
    const { get } = behind(caller({ scope: '' }, method), rbac({ scope: 'orders.read' }))

    const reply = await get('/').expect(403)

    expect(JSON.parse(reply.text).code).toBe('forbidden')
    expect(reply.headers).not.toHaveProperty('www-authenticate')
  })

  test('is only forbidden if more scopes would not help', async () => {
    const { get } = behind(caller({ scope: '' }), rbac({ all: [{ scope: 'a' }, { role: 'lead' }] }))

    const reply = await get('/').expect(403)

    expect(JSON.parse(reply.text).code).toBe('forbidden')
    expect(reply.headers).not.toHaveProperty('www-authenticate')
    expect(reply.text).not.toContain('lead')
  })
})

describe('a caller who holds what is asked for', () => {
  test('passes, and the route counts as decided', async () => {
    const seen: unknown[] = []
    const { get } = behind(caller({ roles: ['clerk'] }), rbac({ require: 'orders:read', roles }), {
      trace: true,
      handler: (req, res) => {
        seen.push(contextOf(req)?.decided, contextOf(req)?.trace?.at(-1))
        res.end('ok')
      },
    })

    await get('/').expect(200)

    expect(seen).toEqual([
      true,
      expect.objectContaining({ stage: 'rbac', verdict: 'passed', rule: 'permission orders:read' }),
    ])
  })

  test('and whom it refuses and only reports: that was a decision too', async () => {
    let decided: boolean | undefined
    const { get } = behind(caller(), rbac('orders:read'), {
      enforcement: () => 'report',
      handler: (req, res) => {
        decided = contextOf(req)?.decided
        res.end('ok')
      },
    })

    await get('/').expect(200)

    expect(decided).toBe(true)
  })
})

test('a claims function that fails breaks the request, and opens nothing', async () => {
  const claims = {
    roles: () => {
      throw new Error('secret')
    },
  }
  const { get, handled } = behind(caller(), rbac({ require: 'authenticated', claims }))

  const reply = await get('/').expect(500)

  expect(reply.text).not.toContain('secret')
  expect(handled()).toBe(0)
})

describe('the rule of a route', () => {
  const general: RbacSettings = { roles, claims: { roles: 'realm_access.roles' } }

  test('is read in the words of the general setting', async () => {
    const stage = rbacRule('orders:read', general, 'routes["GET /orders"].rbac')
    await behind(caller({ realm_access: { roles: ['lead'] } }), stage)
      .get('/')
      .expect(200)
    await behind(caller({ roles: ['lead'] }), stage)
      .get('/')
      .expect(403)
  })

  test('is named where it is wrong', () => {
    expect(() => rbacRule('orders:raed', general, 'routes["GET /orders"].rbac')).toThrow(
      /^routes\["GET \/orders"\]\.rbac names the permission "orders:raed".*Did you mean "orders:read"\?/,
    )
  })

  test('works without a general setting', async () => {
    const stage = rbacRule('orders:read', undefined, 'guard')
    await behind(caller({ permissions: ['orders:read'] }), stage)
      .get('/')
      .expect(200)
  })

  test('comes on top of the default', async () => {
    const stages = [
      rbacDefault({ ...general, default: { scope: 'api' } })!,
      rbacRule('orders:read', general, 'routes["GET /orders"].rbac'),
    ]
    const claims = { realm_access: { roles: ['clerk'] }, scope: 'api' }
    await serve([as(caller(claims)), ...stages])
      .get('/')
      .expect(200)
    await serve([as(caller({ ...claims, scope: '' })), ...stages])
      .get('/')
      .expect(403)
    await serve([as(caller({ scope: 'api' })), ...stages])
      .get('/')
      .expect(403)
  })
})

describe('the general setting', () => {
  test('is no stage of its own without a default', () => {
    expect(rbacDefault({ roles })).toBeUndefined()
    expect(rbacDefault({})).toBeUndefined()
  })

  test.each<[unknown, RegExp]>([
    [{ roles: { a: { inherits: ['a'] } } }, /circle/],
    [{ role: {} }, /rbac has no option "role". Did you mean "roles"\?/],
    [{ roles, default: 'orders:raed' }, /^rbac\.default names the permission/],
    ['orders:read', /^rbac must be an object of options/],
  ])('%j is refused at start', (settings, message) => {
    expect(() => rbacDefault(settings as RbacSettings)).toThrow(message)
  })
})

test.each<[unknown, RegExp]>([
  [{ require: 'orders:raed', roles }, /^rbac\.require names the permission "orders:raed"/],
  [{ require: undefined }, /^rbac\.require is undefined/],
  [{ require: 'a', rols: {} }, /rbac has no option "rols". Did you mean "roles"\?/],
  [{ roles }, /^rbac must be 'authenticated', a permission, or an object/],
  [undefined, /^rbac must be 'authenticated'/],
  [{}, /^rbac must be 'authenticated'/],
])('rbac(%j) is refused at start', (setting, message) => {
  expect(() => rbac(setting as RbacOptions)).toThrow(message)
})

test('tells explain() its rule, and check() a rule that keeps nobody out', () => {
  const { stage } = rbac({ any: ['orders:read', 'authenticated'] })
  expect(stage.needs).toEqual(['principal'])
  expect(stage.describe?.()).toEqual({ rule: 'permission orders:read or authenticated' })
  expect(stage.findings?.()).toEqual([expect.objectContaining({ code: 'rbac-rule-trivial' })])
  expect(rbac('authenticated').stage.findings?.()).toEqual([])
  expect(rbac('orders:read').stage.findings?.()).toEqual([])
})
