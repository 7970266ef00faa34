import express from 'express'
import express4 from 'express4'
import fc from 'fast-check'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { get as httpGet } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import request from 'supertest'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import type { AuditEvent } from '../../src/kernel/ports.js'
import { refuse, type Problem } from '../../src/kernel/problem.js'
import type { StageMiddleware } from '../../src/kernel/stage.js'
import { audit, type AuditOptions } from '../../src/observe/audit.js'
import { requestId } from '../../src/observe/request-id.js'
import { verifyAudit } from '../../src/observe/verify-audit.js'
import { serve, type ServeOptions } from '../../src/testing/index.js'
import { polluted } from '../support/polluted.js'
import { listen, sendRaw } from '../support/raw.js'
import { keyPair, scratch } from './support/trail.js'

type Entry = Record<string, unknown> & { level: string; facts?: Record<string, unknown> }

/** A logger that keeps what it is given, unless told how to fail. */
function keeping() {
  const entries: Entry[] = []
  const state: { fail: (() => unknown) | undefined } = { fail: undefined }
  const at = (level: string) => (entry: object) => {
    if (state.fail !== undefined) return state.fail()
    entries.push({ level, ...entry })
  }
  return { entries, state, logger: { info: at('info'), warn: at('warn'), error: at('error') } }
}

const alice: Principal = {
  id: 'https://id.example.com|alice',
  subject: 'alice',
  issuer: 'https://id.example.com',
  method: 'bearer',
  claims: { email: 'CANARY@example.com', scope: 'CANARY-claim' },
}
const signedIn = defineStage('auth', () => ({
  enter(ctx) {
    ctx.principal = alice
  },
}))()
const refusing = (problem: () => Problem, name = 'refusing') =>
  defineStage(name, () => ({ enter: problem }))()
const forbidding = refusing(() =>
  refuse('forbidden', { rule: 'orders:write', reason: 'the role clerk lacks it', detail: 'No.' }),
)

function audited(
  options: AuditOptions = {},
  behind: readonly StageMiddleware[] = [],
  serving: ServeOptions = {},
) {
  const kept = keeping()
  const stage = audit({ logger: kept.logger, service: 'orders', ...options })
  return { ...kept, stage: stage.stage, ...serve([requestId(), stage, ...behind], serving) }
}

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const turn = (): Promise<void> => new Promise((done) => setImmediate(done))

describe('the event of a request', () => {
  test('says who, what, where, when, the outcome, and what belongs together (ASVS 16.2.1, 16.2.2, 16.3.1)', async () => {
    const { entries, get, clock } = audited({}, [signedIn], {
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

  test.each<[string, number, string, string]>([
    ['an answer', 204, 'answered', 'info'],
    ['a refusal of the handler', 404, 'answered', 'info'],
    ['a failure of the handler', 500, 'failed', 'medium'],
  ])('tells %s', async (_what, status, outcome, severity) => {
    const { entries, get } = audited({}, [], {
      handler: (_req, res) => {
        res.statusCode = status
        res.end()
      },
    })
    await get('/').expect(status)
    expect(entries).toMatchObject([{ kind: 'request', outcome, status, severity }])
  })

  test('tells a request that its client gave up, without a status that was never sent, and with its address', async () => {
    const { entries, server } = audited({}, [], { handler: () => undefined })
    await listen(server)
    const sent = httpGet({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', path: '/slow' })
    sent.on('error', () => undefined)
    server.once('request', () => setImmediate(() => sent.destroy()))
    await new Promise((done) => server.once('request', (_req, res) => res.on('close', done)))
    await turn()
    server.close()

    expect(entries).toEqual([expect.objectContaining({ outcome: 'aborted', clientIp: '127.0.0.1' })])
    expect(entries[0]).not.toHaveProperty('status')
  })

  test('is made once, also where the stage is mounted twice', async () => {
    const { entries, logger } = keeping()
    const stage = audit({ logger })
    await serve([stage, stage]).get('/').expect(200)
    expect(entries.map(({ kind }) => kind)).toEqual(['request'])
    await serve([stage, stage, forbidding]).get('/').expect(403)
    expect(entries.map(({ kind }) => kind)).toEqual(['request', 'decision'])
  })

  test('is made by each of two stages with loggers of their own, and so are decisions', async () => {
    const one = keeping()
    const other = keeping()
    await serve([audit({ logger: one.logger }), audit({ logger: other.logger }), forbidding])
      .get('/')
      .expect(403)
    for (const { entries } of [one, other]) {
      expect(entries.map(({ kind }) => kind)).toEqual(['decision'])
    }
  })

  test('is not made of what was refused: the decision says it all, also what was reported before it', async () => {
    const reported = refusing(() => refuse('forbidden'), 'reporting')
    const { entries, get } = audited({}, [reported, forbidding], {
      enforcement: (stage) => (stage.name === 'reporting' ? 'report' : 'enforce'),
    })
    await get('/').expect(403)
    expect(entries).toMatchObject([
      { kind: 'decision', outcome: 'reported', stage: 'reporting' },
      { kind: 'decision', outcome: 'refused', stage: 'refusing', reported: 'reporting:forbidden' },
    ])
    expect(entries[0]).not.toHaveProperty('reported')
  })

  test('is made whatever a handler puts on record itself, by whichever name', async () => {
    const { entries, get } = audited({}, [], {
      handler: (req, res) => {
        for (const kind of ['request', 'decision']) contextOf(req)!.record(kind, { outcome: 'refused' })
        res.end('{}')
      },
    })
    await get('/').expect(200)
    expect(entries.map(({ kind, outcome }) => `${String(kind)} ${String(outcome)}`)).toEqual([
      'request refused',
      'decision refused',
      'request answered',
    ])
  })

  test('is made also if something before the stage refused', async () => {
    const { entries, logger } = keeping()
    await serve([forbidding, audit({ logger })])
      .get('/')
      .expect(403)
    expect(entries).toMatchObject([
      { kind: 'request', outcome: 'refused', stage: 'refusing', code: 'forbidden' },
    ])
  })
})

describe('a security decision', () => {
  const refused = {
    outcome: 'refused',
    stage: 'refusing',
    code: 'forbidden',
    status: 403,
    rule: 'orders:write',
    reason: 'the role clerk lacks it',
    principal: alice.id,
  }

  test('is an event of its own, with stage, rule and reason (ASVS 16.3.2)', async () => {
    const { entries, get, handled } = audited({}, [signedIn, forbidding])
    const reply = await get('/orders').expect(403)

    expect(handled()).toBe(0)
    expect(entries).toMatchObject([{ kind: 'decision', level: 'warn', severity: 'low', ...refused }])
    expect(entries[0]!['requestId']).toBe(reply.headers['x-request-id'])
  })

  test('that failed authentication is one (ASVS 16.3.1)', async () => {
    const { entries, get } = audited({}, [
      refusing(() => refuse('invalid-token', { rule: 'signature' }), 'auth'),
    ])
    await get('/').expect(401)
    expect(entries[0]).toMatchObject({
      kind: 'decision',
      stage: 'auth',
      code: 'invalid-token',
      status: 401,
      rule: 'signature',
    })
    expect(entries[0]).not.toHaveProperty('principal')
  })

  test.each(['ambiguous-path', 'malformed-body', 'invalid-input', 'rate-limited'] as const)(
    'about an attempt to get past a control, here %s, is one (ASVS 16.3.3)',
    async (code) => {
      const { entries, get } = audited({}, [refusing(() => refuse(code))])
      await get('/')
      expect(entries[0]).toMatchObject({ kind: 'decision', outcome: 'refused', code })
    },
  )

  test('that something broke is one, high, and quotes no error (ASVS 16.3.4)', async () => {
    const broken = refusing(() => {
      throw new Error('CANARY')
    })
    const { entries, get } = audited({}, [broken])
    await get('/').expect(500)
    expect(entries).toMatchObject([
      {
        kind: 'decision',
        level: 'error',
        severity: 'high',
        outcome: 'failed',
        code: 'broken',
        stage: 'refusing',
      },
    ])
    expect(JSON.stringify(entries)).not.toContain('CANARY')
  })

  test('that a dependency is down is one (ASVS 16.3.4)', async () => {
    const { entries, get } = audited({}, [refusing(() => refuse('identity-provider-unavailable'))])
    await get('/').expect(503)
    expect(entries[0]).toMatchObject({
      kind: 'decision',
      severity: 'medium',
      code: 'identity-provider-unavailable',
    })
  })

  test('that was only reported is one, and the request names it', async () => {
    const { entries, get } = audited({}, [forbidding], {
      enforcement: (stage) => (stage.name === 'refusing' ? 'report' : 'enforce'),
    })
    await get('/').expect(200)
    expect(entries).toMatchObject([
      { kind: 'decision', outcome: 'reported', severity: 'low', code: 'forbidden' },
      { kind: 'request', outcome: 'answered', status: 200, reported: 'refusing:forbidden' },
    ])
  })

  test('of any other kind may be put on record by stages and handlers, apart from what the event itself says', async () => {
    const { entries, get } = audited({}, [signedIn], {
      handler: (req, res) => {
        const ctx = contextOf(req)!
        ctx.record('payment', { amount: 5, principal: 'forged', kind: 'forged', rule: 'four-eyes' })
        ctx.record('undecided', {})
        ctx.record('odd', { severity: 'apocalyptic' })
        ctx.record('calm', { severity: 'info' })
        expect(() => ctx.record('void', null as never)).toThrow('record needs a kind and an object of facts')
        res.end()
      },
    })
    await get('/').expect(200)
    expect(entries).toMatchObject([
      {
        kind: 'payment',
        severity: 'medium',
        principal: alice.id,
        rule: 'four-eyes',
        facts: { amount: 5, principal: 'forged', kind: 'forged' },
      },
      { kind: 'undecided', severity: 'high', level: 'error' },
      { kind: 'odd', severity: 'high' },
      { kind: 'calm', severity: 'info', level: 'info' },
      { kind: 'request' },
    ])
  })
})

describe('what never is on record', () => {
  test('is what facts only inherit, while a fact named __proto__ hides none', async () => {
    const { entries, get } = audited({}, [
      defineStage('odd', () => ({
        enter: (ctx) =>
          polluted({ stranger: 'inherited', facts: 'inherited' }, () => {
            ctx.record('polluted', { a: 1 })
            ctx.record('odd', JSON.parse('{"a":1,"__proto__":{"b":2}}') as Record<string, unknown>)
          }),
      }))(),
    ])
    await get('/')
    const facts = (kind: string) => entries.find((entry) => entry['kind'] === kind)?.facts
    expect(facts('polluted')).toEqual({ a: 1 })
    expect(facts('odd')).toEqual({ a: 1, '[__proto__].b': 2 })
  })

  test.each(['outcome', 'stage', 'code', 'status', 'rule', 'reason', 'severity'])(
    'is what a polluted prototype has as %s',
    async (name) => {
      const recordedWith = async (members: object) => {
        const recording = defineStage('recording', () => ({
          enter: (ctx) =>
            polluted({ ...members }, () => {
              ctx.record('payment', { amount: 5 })
              ctx.record('calm', { severity: 'info', outcome: 'answered' })
              return refuse('forbidden')
            }),
        }))()
        const { entries, get } = audited({}, [recording])
        await get('/').expect(403)
        return entries.map((entry) => ({ ...entry, requestId: 'one', traceId: 'one' }))
      }
      const entries = await recordedWith({})
      expect(entries.map(({ kind }: Entry) => kind)).toEqual(['payment', 'calm', 'decision'])
      expect(await recordedWith({ [name]: name === 'severity' ? 'info' : 'broken' })).toEqual(entries)
    },
  )

  test('is how loud a polluted prototype wants an event to be that `redact` left nothing of', async () => {
    const loud = defineStage('loud', () => ({
      enter: (ctx) => polluted({ severity: 'high' }, () => ctx.record('payment', { severity: 'info' })),
    }))()
    const { entries, get } = audited({ redact: () => ({ kind: 'all' }) }, [loud])
    await get('/').expect(200)
    expect(entries[0]).toEqual({ level: 'info', message: 'audit', kind: 'all' })
  })

  test('secrets, tokens, bodies, headers and query strings (ASVS 16.2.5)', async () => {
    const { entries, post } = audited({ path: 'always' }, [
      signedIn,
      refusing(() => refuse('forbidden', { cause: new Error('CANARY-cause'), detail: 'CANARY-detail' })),
    ])
    await post('/orders?access_token=CANARY-query')
      .set('Authorization', 'Bearer CANARY-bearer')
      .set('Cookie', 'session=CANARY-cookie')
      .set('User-Agent', 'CANARY-agent')
      .set('X-Api-Key', 'CANARY-key')
      .send({ password: 'CANARY-body' })
      .expect(403)
    expect(entries).toHaveLength(1)
    expect(JSON.stringify(entries)).not.toContain('CANARY')
  })

  test('the path where a template is known: that of the matching rule, or of Express (ASVS 16.2.5)', async () => {
    const routing = defineStage('routing', () => ({
      enter(ctx) {
        ctx.route = 'GET /reset/:token'
      },
    }))()
    const { entries, get } = audited({}, [routing])
    await get('/reset/CANARY')
    expect(entries[0]).toMatchObject({ route: 'GET /reset/:token' })
    expect(JSON.stringify(entries)).not.toContain('CANARY')
  })

  test.each([
    ['5', express],
    ['4', express4],
  ])('the path where Express %s has a template for it', async (_version, framework) => {
    const { entries, logger } = keeping()
    const app = framework()
    app.use(audit({ logger }))
    const router = framework.Router()
    router.get('/:token', (_req, res) => void res.json({}))
    app.use('/reset', router)
    await request(app).get('/reset/CANARY').expect(200)
    await request(app).get('/wp-admin.php?x=CANARY').expect(404)

    expect(entries).toMatchObject([{ route: '/reset/:token' }, { path: '/wp-admin.php' }])
    expect(JSON.stringify(entries)).not.toContain('CANARY')
  })

  test.each([
    ['http://user:CANARY@host.example/orders?CANARY', '[absolute]/orders'],
    ['/orders#CANARY', '/orders'],
    ['/orders#?CANARY', '/orders'],
    ['*', '*'],
    ['//user:name@host/x', '//user:name@host/x'],
  ])('credentials and fragments of a target such as %s', async (target, path) => {
    const { entries, server } = audited()
    await sendRaw(
      server,
      `${target === '*' ? 'OPTIONS' : 'GET'} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    )
    await turn()
    expect(entries).toMatchObject([{ kind: 'request', path }])
    expect(JSON.stringify(entries)).not.toContain('CANARY')
  })

  test.each<[AuditOptions['path'], string | undefined, string | undefined]>([
    ['always', '/a/1', '/b'],
    ['unmatched', undefined, '/b'],
    ['never', undefined, undefined],
  ])('with path %s, the path beyond what it says', async (path, matched, unmatched) => {
    const routing = defineStage('routing', () => ({
      enter(ctx) {
        if (ctx.path.startsWith('/a')) ctx.route = '/a/:id'
      },
    }))()
    const { entries, get } = audited({ path: path! }, [routing])
    await get('/a/1?q')
    await get('/b?q')
    expect(entries.map((entry) => entry['path'])).toEqual([matched, unmatched])
  })
})

describe('redact', () => {
  test('has the last word on every event, before any sink sees it (ASVS 16.2.5)', async () => {
    const { entries, get } = audited(
      { redact: (event) => ({ ...event, principal: 'masked', facts: { card: '****' } }) },
      [signedIn],
      {
        handler: (req, res) => {
          contextOf(req)!.record('payment', { card: 'CANARY' })
          res.end()
        },
      },
    )
    await get('/')
    expect(entries).toMatchObject([
      { kind: 'payment', principal: 'masked', facts: { card: '****' } },
      { kind: 'request', principal: 'masked' },
    ])
    expect(JSON.stringify(entries)).not.toContain('CANARY')
  })

  test('is not trusted to give clean text', async () => {
    const { entries, get } = audited({
      redact: (event) => ({ ...event, path: 'a\nb', odd: { deep: { er: '\u001b' } } }),
    })
    await get('/')
    expect(entries[0]).toMatchObject({ path: 'a\\u000ab', odd: { 'deep.er': '\\u001b' } })
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('CANARY')
      },
    ],
    ['returns nothing', () => undefined],
    ['returns no object', () => 'CANARY'],
    [
      'returns a trap',
      () =>
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error('CANARY')
            },
          },
        ),
    ],
  ])('that %s leaves no more than that something happened', async (_how, redact) => {
    const { entries, get } = audited({ redact: redact as (event: AuditEvent) => AuditEvent }, [signedIn])
    const reply = await get('/CANARY').expect(200)
    expect(entries).toEqual([
      {
        level: 'info',
        message: 'audit',
        kind: 'request',
        time: '2030-01-01T00:00:00.000Z',
        severity: 'info',
        requestId: reply.headers['x-request-id'],
        reason: 'mask or audit.redact failed on this event',
      },
    ])
  })
})

describe('one event is one line (ASVS 16.4.1, 16.2.4)', () => {
  test('whatever a client sends as its path', async () => {
    const out = scratchFile()
    const { get, stage } = audited({ file: out.path, path: 'always' })
    const sent = fc.sample(fc.webUrl({ withQueryParameters: true }), 50).map((url) => new URL(url).pathname)
    const tricks = ['/%0d%0aadmin', '/%1b[2J', '/%e2%80%a8', '/";}{"kind":"x', "/';--", '/\\u000a', '/%00']
    for (const path of [...sent, ...tricks]) await get(path)
    await stage.close!()

    const lines = readFileSync(out.path, 'latin1').split('\n').slice(0, -1)
    const events = lines.map((line) => JSON.parse(line) as Entry).filter(({ kind }) => kind !== 'checkpoint')
    expect(events).toHaveLength(sent.length + tricks.length)
    expect((await verifyAudit(out.path)).ok).toBe(true)
  })

  test('whatever a principal is called and a stage gives as its reason', async () => {
    const out = scratchFile()
    const evil = 'a\r\n{"kind":"request"}\u2028\u001b[31m\ud800"'
    const named = defineStage('auth', () => ({
      enter(ctx) {
        ctx.principal = { ...alice, id: evil, method: evil }
      },
    }))()
    const { get, stage, entries } = audited({ file: out.path }, [
      named,
      refusing(() => refuse({ code: evil, status: 403, title: 'x' }, { rule: evil, reason: evil })),
    ])
    await get('/').expect(403)
    await get('/').expect(403)
    await stage.close!()
    const text = readFileSync(out.path, 'latin1')
    expect(text.split('\n')).toHaveLength(5)

    expect(text.replaceAll('\n', '')).toMatch(/^[\x20-\x7e]+$/)

    for (const { principal, rule } of entries) {
      expect([principal, rule]).toEqual(
        Array(2).fill('a\\u000d\\u000a{"kind":"request"}\\u2028\\u001b[31m\\ud800"'),
      )
    }
  })
})

const files = scratch()
function scratchFile() {
  return { path: files.path('audit.jsonl') }
}

describe('a file', () => {
  const { key, publicKey } = keyPair()

  test('gets events that verify, and a logger beside it gets the same (ASVS 16.4.2)', async () => {
    const out = scratchFile()
    const { get, stage, entries } = audited({ file: { path: out.path, key } }, [forbidding])
    await get('/').expect(403)
    await get('/').expect(403)
    await turn()
    expect(stage.stats()).toEqual({ written: 4, dropped: 0, failing: false })
    await stage.close!()

    expect(await verifyAudit(out.path, { publicKey })).toMatchObject({ ok: true, lines: 4, signedTo: 4 })
    expect(entries).toHaveLength(2)
    const lines = readFileSync(out.path, 'utf8')
      .split('\n')
      .slice(1, 3)
      .map((line) => JSON.parse(line) as Entry)
    expect(lines).toMatchObject(entries.map(({ level: _level, message: _message, ...event }) => event))
  })

  test('replaces {pid} and {host} in its name', async () => {
    const stage = audit({ file: files.path('audit-{pid}-{host}.jsonl') }).stage
    expect(existsSync(files.path(`audit-${process.pid}-${hostname()}.jsonl`))).toBe(true)
    await stage.close!()
  })

  test('has decisions before the first byte of the reply with before-reply, the end of the request after it', async () => {
    const out = scratchFile()
    const there: string[] = []
    const { get, stage } = audited({ file: out.path, durability: 'before-reply' }, [
      defineStage('watch', () => ({
        enter(ctx) {
          const { writeHead } = ctx.res
          ctx.res.writeHead = ((...head: Parameters<typeof writeHead>) => {
            there.push(readFileSync(out.path, 'latin1'))
            return writeHead.apply(ctx.res, head)
          }) as typeof writeHead
        },
      }))(),
      forbidding,
    ])
    await get('/').expect(403)
    expect(there).toHaveLength(1)
    expect(there[0]).toContain('"kind":"decision"')
    expect(there[0]).not.toContain('"kind":"request"')
    await stage.close!()
  })

  test('has the decision at the end of the turn with turn', async () => {
    const out = scratchFile()
    const there: string[] = []
    const { get, stage } = audited({ file: out.path }, [
      defineStage('watch', () => ({
        enter(ctx) {
          ctx.res.once('prefinish', () => {
            there.push(readFileSync(out.path, 'latin1'))
            setImmediate(() => setImmediate(() => there.push(readFileSync(out.path, 'latin1'))))
          })
        },
      }))(),
      forbidding,
    ])
    await get('/').expect(403)
    await turn()
    await turn()
    expect(there[0]).not.toContain('"kind":"decision"')
    expect(there[1]).toContain('"kind":"decision"')
    await stage.close!()
  })

  test.each<[string, (order: object) => [string, Record<string, unknown>]]>([
    ['facts', (order) => ['noted', { order }]],
    ...(['outcome', 'stage', 'code', 'status', 'rule', 'reason'] as const).map(
      (name): [string, (order: object) => [string, Record<string, unknown>]] => [
        name,
        (order) => ['decision', { [name]: order }],
      ],
    ),
  ])('has what a stage gave as %s as it was then, whatever becomes of it later', async (_name, record) => {
    const out = scratchFile()
    const { get, stage } = audited({ file: out.path }, [
      defineStage('changing', () => ({
        enter(ctx) {
          const order = { state: 'open' }
          ctx.record(...record(order))
          order.state = 'changed'
        },
      }))(),
    ])
    await get('/').expect(200)
    await turn()
    await stage.close!()
    const text = readFileSync(out.path, 'latin1')
    expect(text).toMatch(/state":"open"/)
    expect(text).not.toContain('changed')
  })

  test('has what redact gave as it was then', async () => {
    const out = scratchFile()
    const { get, stage } = audited({
      file: out.path,
      redact: (event) => {
        queueMicrotask(() => ((event as unknown as { outcome: unknown }).outcome = 'changed'))
        return event
      },
    })
    await get('/').expect(200)
    await turn()
    await stage.close!()
    const text = readFileSync(out.path, 'latin1')
    expect(text).toContain('"outcome":"answered"')
    expect(text).not.toContain('changed')
  })

  test('has long reasons cut before they wait for the end of the turn', async () => {
    const out = scratchFile()
    const there: string[] = []
    const reason = 'x'.repeat(100_000)
    const { get, stage } = audited({ file: out.path, maxPending: 100_000 }, [
      defineStage('talking', () => ({
        enter(ctx) {
          for (let i = 0; i < 600; i++) ctx.record('decision', { reason })
          there.push(readFileSync(out.path, 'latin1'))
        },
      }))(),
    ])
    await get('/').expect(200)
    await turn()
    await stage.close!()
    // More than 256 KiB of them, and so some are written before the turn is over.
    expect(there[0]!.length).toBeGreaterThan(256 * 1024)
    expect(there[0]).not.toContain('x'.repeat(600))
  })

  test('has each event once where reading the facts of one puts another on record', async () => {
    const out = scratchFile()
    const { get, stage } = audited({ file: out.path }, [
      defineStage('nested', () => ({
        enter(ctx) {
          let reads = 0
          const facts = Object.defineProperty({}, 'order', {
            enumerable: true,
            get: () => {
              if (++reads === 1) ctx.record('inner', { n: 1 })
              return 7
            },
          })
          ctx.record('outer', { facts })
        },
      }))(),
    ])
    await get('/').expect(200)
    await turn()
    await stage.close!()
    const text = readFileSync(out.path, 'latin1')
    expect(text.match(/"kind":"[a-z]+"/g)).toEqual(
      ['checkpoint', 'inner', 'outer', 'request', 'checkpoint'].map((kind) => `"kind":"${kind}"`),
    )
  })

  test('is opened, with its first checkpoint, by ready', async () => {
    const out = scratchFile()
    const { stage } = audit({ file: { path: out.path, key } })
    expect(readFileSync(out.path, 'utf8')).toBe('')
    const { createServices } = await import('../../src/kernel/services.js')
    await stage.ready!(createServices())
    await turn()
    expect(readFileSync(out.path, 'utf8')).toContain('"why":"start"')
    await stage.close!()
  })

  test.each([
    ['that holds something else', () => files.write('other', 'precious\n'), 'no audit trail'],
    ['in no directory', () => files.path('no/where'), 'ENOENT'],
    ['that is a directory', () => files.path('.'), 'EISDIR'],
  ])('%s keeps the API from starting, with a cause and a fix', (_what, path, cause) => {
    const options = { file: { path: path(), key } }
    expect(() => audit(options)).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'audit-file-unusable' }),
    )
    expect(() => audit(options)).toThrow(cause)
  })

  test('that a second instance wants keeps it from starting', async () => {
    const out = scratchFile()
    const { stage } = audit({ file: out.path })
    expect(() => audit({ file: out.path })).toThrow(expect.objectContaining({ code: 'audit-file-locked' }))
    await stage.close!()
    const again = audit({ file: out.path })
    await again.stage.close!()
  })
})

describe("onFailure 'refuse'", () => {
  test('answers 503 before the handler while the file is sick, and serves again when it is well', async () => {
    mkdirSync(files.path('logs'))
    const logged: string[] = []
    const log = {
      info: () => undefined,
      warn: (text: string) => logged.push(text),
      error: (text: string) => logged.push(text),
    }
    const { get, stage, handled, clock } = audited(
      { file: files.path('logs/audit.jsonl'), onFailure: 'refuse' },
      [],
      { log: log },
    )
    await get('/').expect(200)
    await turn()
    rmSync(files.path('logs'), { recursive: true })
    await get('/').expect(200)
    await turn()
    expect(handled()).toBe(2)

    const reply = await get('/').expect(503).expect('Retry-After', '1')
    expect(JSON.parse(reply.text).code).toBe('audit-unavailable')
    expect(handled()).toBe(2)
    expect(stage.stats().failing).toBe(true)
    clock.advance(5_000)
    await get('/').expect(503)

    mkdirSync(files.path('logs'))
    await get('/').expect(503)
    clock.advance(1_000)
    await get('/').expect(200)
    expect(handled()).toBe(3)
    expect(stage.stats()).toMatchObject({ dropped: 0, failing: false })
    expect(logged.filter((text) => text.includes('takes no events'))).toHaveLength(1)
    await stage.close!()
    expect((await verifyAudit(files.path('logs/audit.jsonl'))).ok).toBe(true)
    expect(readFileSync(files.path('logs/audit.jsonl'), 'utf8')).toContain('audit-unavailable')
  })

  test('probes by itself when nothing else would', async () => {
    const { get, state, clock, handled } = audited({ onFailure: 'refuse' })
    state.fail = () => {
      throw new Error('disk full')
    }
    await get('/').expect(200)
    await get('/').expect(503)
    state.fail = undefined
    await get('/').expect(503)
    clock.advance(1_000)
    await get('/').expect(200)
    expect(handled()).toBe(2)
  })

  test('is not for report mode to relax', () => {
    expect(audit({ logger: keeping().logger }).stage.reportable).toBe('never')
  })

  test('refuses when the stage has been closed', async () => {
    const { get, stage, handled } = audited({ onFailure: 'refuse' })
    await stage.close!()
    await get('/').expect(503)
    expect(handled()).toBe(0)
  })
})

describe("onFailure 'count'", () => {
  test.each([undefined, 'count'] as const)(
    '(%s) serves on, counts, says so once, and recovers',
    async (onFailure) => {
      const logged: string[] = []
      const log = {
        info: () => undefined,
        warn: (text: string) => logged.push(text),
        error: (text: string) => logged.push(text),
      }
      const { get, state, entries, stage, clock } = audited(onFailure && { onFailure }, [], {
        log: log,
      })
      await get('/').expect(200)
      state.fail = () => {
        throw new Error('disk full')
      }
      for (let i = 0; i < 3; i++) await get('/').expect(200)
      expect(stage.stats()).toEqual({ written: 1, dropped: 3, failing: true })
      expect(logged).toEqual(['audit: the logger takes no events'])

      state.fail = undefined
      clock.advance(1_000)
      await get('/').expect(200)
      expect(stage.stats()).toMatchObject({ dropped: 3, failing: false })
      expect(logged).toEqual(['audit: the logger takes no events', 'audit: the logger takes events again'])
      expect(entries.map(({ kind }) => kind)).toEqual(['request', 'request', 'audit-gap'])
      expect(entries[2]).toMatchObject({ severity: 'high', facts: { lost: 3 } })
    },
  )
})

describe('findings', () => {
  const codes = (options?: AuditOptions) => {
    const { stage } = audit(options)
    const found = stage.findings!()
    return stage.close!().then(() => found.map(({ code }) => code))
  }
  const { key } = keyPair()

  test('name what makes the record weak, and nothing else', async () => {
    const { logger } = keeping()
    const path = files.path('audit.jsonl')
    expect(await codes()).toEqual(['audit-to-stdout', 'audit-failure-counted'])
    expect(await codes({ logger, onFailure: 'refuse' })).toEqual([])
    expect(await codes({ file: path })).toEqual([
      'audit-failure-counted',
      'audit-unsigned',
      'audit-head-not-kept',
    ])
    expect(await codes({ file: { path, key, onCheckpoint: () => undefined }, onFailure: 'refuse' })).toEqual(
      [],
    )
  })

  test.each([0o660, 0o644, 0o602])(
    'name an existing file with permissions %o (ASVS 16.4.2)',
    async (mode) => {
      const path = files.write('audit.jsonl', '')
      chmodSync(path, mode)
      expect(
        await codes({ file: { path, key, onCheckpoint: () => undefined }, onFailure: 'refuse' }),
      ).toEqual(['audit-file-open'])
    },
  )
})

test('describe is the inventory of where events go, without the key (ASVS 16.2.3)', async () => {
  const { key } = keyPair()
  const { logger } = keeping()
  const both = audit({ file: { path: files.path('a'), key }, logger, service: 'orders' }).stage
  expect(both.describe!()).toEqual({
    sinks: ['file', 'logger'],
    file: {
      path: files.path('a'),
      mode: '600',
      key: expect.stringMatching(/^[\w-]{16}$/),
      checkpointEvery: 1000,
      checkpointMs: 10_000,
      onCheckpoint: false,
    },
    durability: 'turn',
    onFailure: 'count',
    maxPending: 1000,
    redact: false,
    path: 'unmatched',
    service: 'orders',
  })
  expect(audit().stage.describe!()).toMatchObject({ sinks: ['stdout'] })
  expect(audit({ logger }).stage.describe!()).toMatchObject({ sinks: ['logger'] })
  await both.close!()
})

test.each<[string, unknown]>([
  ['audit.onFailure', { onFailure: 'ignore' }],
  ['audit.durability', { durability: 'never' }],
  ['audit.path', { path: 'sometimes' }],
  ['audit.maxPending', { maxPending: 0 }],
  ['audit.redact', { redact: { a: 'redact' } }],
  ['audit.service', { service: '' }],
  ['audit.logger', { logger: {} }],
  ['audit.logger', { logger: null }],
  ['audit.logger', { logger: { info: () => 1, warn: () => 1 } }],
  ['"onFailur"', { onFailur: 'count' }],
  ['audit', 'file.log'],
  ['audit.file', { file: 7 }],
  ['audit.file.path', { file: '' }],
  ['audit.file.path', { file: {} }],
  ['audit.file.path', { file: 'a\0b' }],
  ['audit.file.key', { file: { path: 'x', key: 'CANARY' } }],
  ['audit.file.key is undefined', { file: { path: 'x', key: undefined } }],
  ['audit.file.onCheckpoint is undefined', { file: { path: 'x', onCheckpoint: undefined } }],
  ['audit.file.key', { file: { path: 'x', key: keyPair().publicKey } }],
  ['audit.file.checkpointEvery', { file: { path: 'x', checkpointEvery: 0 } }],
  ['audit.file.checkpointMs', { file: { path: 'x', checkpointMs: 2 ** 31 } }],
  ['audit.file.onCheckpoint', { file: { path: 'x', onCheckpoint: 'x' } }],
  ['audit.file.mode', { file: { path: 'x', mode: 0o666 } }],
  ['audit.file.mode', { file: { path: 'x', mode: 0o1777 } }],
  ['"checkpointevery"', { file: { path: 'x', checkpointevery: 5 } }],
])('refuses to start and names %s', (name, options) => {
  expect(() => audit(options as AuditOptions)).toThrow(ConfigError)
  expect(() => audit(options as AuditOptions)).toThrow(name)
  expect(() => audit(options as AuditOptions)).not.toThrow('CANARY')
})
