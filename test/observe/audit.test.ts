import { audit } from '../../src/observe/audit.js'
import type { AuditOptions } from '../../src/observe/audit-options.js'
import { requestId } from '../../src/observe/request-id.js'
import { defineStage } from '../../src/kernel/define.js'
import { refuse, type Problem } from '../../src/kernel/problem.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import type { Principal } from '../../src/kernel/context.js'
import { serve, type ServeOptions } from '../../src/testing/index.js'

type Entry = Record<string, unknown> & { level: string; facts?: Record<string, unknown> }

/** A logger that keeps what it is given. */
function keeping() {
  const entries: Entry[] = []
  const at = (level: string) => (entry: object) => void entries.push({ level, ...entry })
  return { entries, logger: { info: at('info'), warn: at('warn'), error: at('error') } }
}

const signedIn: Principal = {
  id: 'https://id.example.com|alice',
  subject: 'alice',
  issuer: 'https://id.example.com',
  method: 'bearer',
  claims: { email: 'alice@example.com', secret: 'CANARY-claim' },
}

const identity = defineStage('auth', () => ({
  enter(ctx) {
    ctx.principal = signedIn
  },
}))
const refusing = (problem: () => Problem) => defineStage('refusing', () => ({ enter: problem }))()

function audited(
  options: AuditOptions = {},
  more: Parameters<typeof serve>[0] | [] = [],
  serving: ServeOptions = {},
) {
  const { entries, logger } = keeping()
  const stages = Array.isArray(more) ? more : [more]
  const stage = audit({ logger, service: 'orders', ...options })
  return { entries, stage, ...serve([requestId(), stage, ...stages] as never, serving) }
}

describe('the event of a request', () => {
  test('says who, what, where, when, the outcome, and how to find its fellows (ASVS 16.2.1, 16.2.2)', async () => {
    const { entries, get, clock } = audited({}, identity(), {
      handler: (_req, res) => {
        clock.advance(12.5)
        res.end('{}')
      },
    })

    const reply = await get('/orders/7?token=CANARY-query').set('traceparent', TRACEPARENT).expect(200)

    expect(entries).toEqual([
      {
        level: 'info',
        message: 'audit',
        kind: 'request',
        time: '2030-01-01T00:00:00.012Z',
        severity: 'info',
        outcome: 'answered',
        principal: 'https://id.example.com|alice',
        authMethod: 'bearer',
        method: 'GET',
        path: '/orders/7',
        status: 200,
        clientIp: expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
        service: 'orders',
        requestId: reply.headers['x-request-id'],
        traceId: TRACEPARENT.slice(3, 35),
        durationMs: 12.5,
      },
    ])
  })
})

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

describe('a refusal', () => {
  test('is an event of its own beside that of the request, with stage, rule and reason (ASVS 16.3.2, 16.3.3)', async () => {
    const { entries, get, handled } = audited({}, [
      identity(),
      refusing(() => refuse('forbidden', { rule: 'orders:write', reason: 'the role clerk lacks it' })),
    ])

    await get('/orders').expect(403)

    expect(handled()).toBe(0)
    const common = {
      level: 'warn',
      severity: 'low',
      outcome: 'refused',
      stage: 'refusing',
      code: 'forbidden',
      status: 403,
      rule: 'orders:write',
      reason: 'the role clerk lacks it',
      principal: signedIn.id,
    }
    expect(entries).toMatchObject([
      { kind: 'decision', ...common },
      { kind: 'request', ...common },
    ])
    expect(entries[0]!['requestId']).toBe(entries[1]!['requestId'])
  })
})

test.each<[string, unknown]>([
  ['audit.onFailure', { onFailure: 'ignore' }],
  ['audit.durability', { durability: 'never' }],
  ['audit.path', { path: 'sometimes' }],
  ['audit.maxPending', { maxPending: 0 }],
  ['audit.redact', { redact: { a: 'redact' } }],
  ['"onFailur"', { onFailur: 'count' }],
])('refuses to start and names %s', (name, options) => {
  expect(() => audit(options as AuditOptions)).toThrow(ConfigError)
  expect(() => audit(options as AuditOptions)).toThrow(name)
})
