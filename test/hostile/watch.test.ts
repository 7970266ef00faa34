import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import request from 'supertest'
import { defineStage } from '../../src/kernel/define.js'
import { contextOf, type SecurityContext } from '../../src/kernel/context.js'
import { refuse } from '../../src/kernel/problem.js'
import { sendJson, testApi } from '../support/api.js'
import { CANARIES, secretsIn, secretsOfBody, secretsOfHead } from '../support/secrets.js'
import { takeLeaks } from '../support/watch-secrets.js'

/** An API with a stage, or a handler, that tells what it should not. */
function leaking(enter: (ctx: SecurityContext) => unknown, handle = answer) {
  const stage = defineStage('leaking', () => ({ enter: (ctx) => enter(ctx) as undefined }))()
  const { api, as } = testApi({ extra: [{ after: 'auth', stage }] })
  const server = createServer(api.protect(handle))
  return request(server).get('/').set('Authorization', as())
}

const answer = (_req: IncomingMessage, res: ServerResponse) => sendJson(res, { ok: true })
const SECRETS: Record<string, (ctx: SecurityContext) => string> = {
  'a planted cookie': ({ req }) => req.headers.cookie!,
  'a planted key': ({ req }) => req.headers['api-key'] as string,
  'a token': ({ req }) => req.headers.authorization!,
  'the signature of a token': ({ req }) => req.headers.authorization!.split('.')[2]!,
  'the payload of a token': ({ req }) => req.headers.authorization!.split('.')[1]!,
  'the id of a token': ({ principal }) => principal!.claims['jti'] as string,
}

const LEAKS: [where: string, tell: (ctx: SecurityContext, secret: string) => unknown][] = [
  ['a log entry', (ctx, secret) => ctx.services.log.warn('seen', { given: secret })],
  ['a log entry', (ctx, secret) => ctx.services.log.error(`seen ${secret}`)],
  ['an audit event', (ctx, secret) => ctx.record('seen', { given: `<${secret}>` })],
  ['the head of a reply', ({ res }, secret) => void res.setHeader('X-Seen', secret)],
  ['a problem', (_ctx, secret) => refuse('forbidden', { detail: `not with ${secret}` })],
  ['the console', (_ctx, secret) => console.debug({ given: { deep: secret } })],
]

describe.each(Object.entries(SECRETS))('%s', (what, secretOf) => {
  test.each(LEAKS)('in %s is heard', async (where, tell) => {
    await leaking((ctx) => tell(ctx, secretOf(ctx)))
    const heard = takeLeaks()
    // Text that looks like a token is not put on record.
    const isHidden = where === 'an audit event' && ['a token', 'the payload of a token'].includes(what)
    expect(heard.length > 0).toBe(!isHidden)
    expect(heard.filter((leak) => !leak.startsWith(where))).toEqual([])
  })
})

test('in what the handler answers it is the affair of the handler', async () => {
  const reply = await leaking(
    () => undefined,
    (req, res) => sendJson(res, { cookie: req.headers.cookie, who: contextOf(req)?.principal?.subject }),
  )
  expect(reply.text).toContain(CANARIES.cookie)
  expect(takeLeaks()).toEqual([])
})

test('secrets are found however they are written', () => {
  const known = new Set(
    secretsOfHead({ authorization: 'Basic dXNlcjpwYXNzd29yZA==', cookie: 'a=short; b=long-enough-01' }),
  )
  expect([...known]).toEqual(['dXNlcjpwYXNzd29yZA', 'long-enough-01'])
  const basic = `Basic ${Buffer.from('name-of-the-user:long-enough-password').toString('base64')}`
  expect(secretsOfHead({ authorization: basic })).toContain('long-enough-password')
  expect(secretsOfHead({ authorization: basic })).not.toContain('name-of-the-user')
  expect(
    secretsOfBody('{"a":[{"password":"a-long-password"}],"card":"4929123456781234","b":"nothing-secret"}'),
  ).toEqual(['a-long-password', '4929123456781234'])
  expect(secretsOfBody('password=a-long-password&other=nothing-secret')).toEqual(['a-long-password'])
  expect(secretsOfBody('a-long-text-of-no-form')).toEqual([])
  for (const text of [
    'x=long-enough-01;',
    '{"a":"dXNlcjpwYXNzd29yZA=="}',
    `%${CANARIES.cookie.toUpperCase()}`,
  ])
    expect(secretsIn(text, known)).toHaveLength(1)
  for (const shift of ['', 'a', 'ab'])
    expect(secretsIn(Buffer.from(`${shift}${CANARIES.apiKey}`).toString('base64'), known)).toHaveLength(1)
  expect(secretsIn('nothing at all', known)).toEqual([])
})
