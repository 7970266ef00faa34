import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import request from 'supertest'
import type { Handler } from '../src/entrance.js'
import { defineStage } from '../src/kernel/define.js'
import type { ErrorMiddleware } from '../src/kernel/errors.js'
import { refuse } from '../src/kernel/problem.js'
import { forward } from '../src/kernel/respond.js'
import type { SecureApiOptions } from '../src/secure-api.js'
import { sendJson, testApi, type TestApi } from './support/api.js'
import { expressVersions } from './support/express.js'

/** Refuses everybody, and is no access rule. */
const closed = defineStage('closed', () => ({ enter: () => refuse('forbidden') }))
/** Refuses everybody, and is one. */
const policy = defineStage('policy', () => ({ decides: true, enter: () => refuse('forbidden') }))

const RULED = { 'GET /': { rbac: { role: 'clerk' } } } as const
const Numbered = { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } }

type Caller = 'nobody' | 'a liar' | 'a clerk' | 'a guest'

function credentials(setup: TestApi, caller: Caller): string | undefined {
  if (caller === 'nobody') return undefined
  return caller === 'a liar' ? 'Bearer x' : setup.as({ roles: [caller.slice(2)] })
}

async function answers(
  options: Partial<SecureApiOptions>,
  callers: readonly Caller[],
  inline: (setup: TestApi) => Handler = () => answer,
): Promise<{ outcomes: string[]; events: number }> {
  const setup = testApi(options)
  const server = createServer(setup.api.protect(inline(setup)))
  const outcomes = []
  for (const caller of callers) {
    const asked = request(server).get('/')
    const token = credentials(setup, caller)
    const { status, text } = await (token === undefined ? asked : asked.set('Authorization', token))
    outcomes.push(status === 200 ? '200' : `${status} ${(JSON.parse(text) as { code: string }).code}`)
  }
  return { outcomes, events: setup.events.filter(({ kind }) => kind === 'undecided').length }
}

const answer = (_req: IncomingMessage, res: ServerResponse): void => sendJson(res, { secret: 1 })

describe('what is only reported', () => {
  test.each<[string, Partial<SecureApiOptions>, Caller[]]>([
    [
      'a limit',
      { mode: { rateLimit: 'report' }, rateLimit: { limit: 1 } },
      ['a clerk', 'a clerk', 'a clerk'],
    ],
    ['a quota', { mode: { quota: 'report' }, quota: { limit: 1 } }, ['a clerk', 'a clerk', 'a clerk']],
    ['a credential', { mode: { auth: 'report' } }, ['a clerk', 'nobody', 'a liar']],
    ['an input', { mode: { validate: 'report' }, validate: { query: Numbered } }, ['a clerk']],
    ['a stage of their own', { mode: 'report', extra: [{ after: 'auth', stage: closed() }] }, ['a clerk']],
    ['everything', { mode: 'report', rateLimit: { limit: 1 } }, ['a clerk', 'nobody', 'a liar']],
  ])('%s: is no access decision', async (_what, options, callers) => {
    const strict = await answers({ ...options, strict: true }, callers)
    expect(strict.outcomes).toEqual(callers.map(() => '500 undecided'))

    const lenient = await answers(options, callers)
    expect(lenient.outcomes).toEqual(callers.map(() => '200'))
    expect(lenient.events).toBe(callers.length)
  })

  test.each<[string, Partial<SecureApiOptions>, Caller[], string[]]>([
    [
      'a rule',
      { mode: { rbac: 'report' }, routes: RULED },
      ['a clerk', 'a guest', 'nobody'],
      ['200', '200', '401 unauthenticated'],
    ],
    [
      'a rule and a credential',
      { mode: { rbac: 'report', auth: 'report' }, routes: RULED },
      ['a clerk', 'a guest', 'nobody', 'a liar'],
      ['200', '200', '200', '200'],
    ],
    [
      'a credential, before a rule that is enforced',
      { mode: { auth: 'report' }, routes: RULED },
      ['a clerk', 'a guest', 'nobody', 'a liar'],
      ['200', '403 forbidden', '401 unauthenticated', '401 unauthenticated'],
    ],
    [
      'everything',
      { mode: 'report', routes: RULED },
      ['a clerk', 'a guest', 'nobody'],
      ['200', '200', '200'],
    ],
    [
      'a stage of their own that decides',
      { mode: 'report', extra: [{ after: 'auth', stage: policy() }] },
      ['a clerk', 'nobody'],
      ['200', '200'],
    ],
    [
      'a limit, on a public route',
      {
        mode: { rateLimit: 'report' },
        rateLimit: { limit: 1 },
        routes: { 'GET /': { public: true } },
      },
      ['nobody', 'nobody'],
      ['200', '200'],
    ],
  ])('%s: an access rule has decided', async (_what, options, callers, expected) => {
    for (const strict of [true, false]) {
      const { outcomes, events } = await answers({ ...options, strict }, callers)
      expect(outcomes).toEqual(expected)
      expect(events).toBe(0)
    }
  })

  test('the rule of a guard', async () => {
    const options = { strict: true, mode: { rbac: 'report' } } as const
    const guarded = ({ api }: TestApi): Handler => {
      const guard = api.guard({ rbac: { role: 'clerk' } })
      return (req, res) => guard(req, res, () => answer(req, res))
    }
    const { outcomes, events } = await answers(options, ['a clerk', 'a guest', 'nobody'], guarded)
    expect(outcomes).toEqual(['200', '200', '401 unauthenticated'])
    expect(events).toBe(0)
  })
})

test.each(expressVersions)(
  'on %s, strict: whoever swallows the refusal of a rule has decided nothing',
  async (_name, express) => {
    const { api, as } = testApi({ strict: true, respond: forward })
    const app = express()
    app.use(api as never)
    app.get('/', api.guard({ rbac: { role: 'clerk' } }) as never, answer as never)
    app.use(((_error, _req, _res, next) => next()) as ErrorMiddleware)
    app.use(answer as never)
    const reply = await request(app as never)
      .get('/')
      .set('Authorization', as({ roles: ['guest'] }))
    expect(reply.status).toBe(500)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'undecided' })
  },
)
