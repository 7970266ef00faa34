import type { IncomingMessage, ServerResponse } from 'node:http'
import { defineStage } from '../../src/kernel/define.js'
import { pipeline } from '../../src/kernel/pipeline.js'
import type { Stage } from '../../src/kernel/stage.js'
import { auth } from '../../src/identity/auth.js'
import type { Method, MethodMiddleware } from '../../src/identity/method.js'
import { fakeClock, serve } from '../../src/testing/index.js'
import { sendJson, testApi } from '../support/api.js'

const never = new Promise<never>(() => undefined)
type Unnamed = Omit<Stage, 'name'>

/** A stage that tells when a request waits in it. */
function hanging(more: Unnamed = {}, answer: () => Promise<undefined> = () => never) {
  let arrived = (): void => undefined
  const waiting = new Promise<void>((resolve) => (arrived = resolve))
  const stage = defineStage('slow', (): Unnamed => ({
    enter() {
      arrived()
      return answer()
    },
    ...more,
  }))()
  return { stage, waiting }
}

function logging() {
  const errors: string[] = []
  const log = {
    info: () => undefined,
    warn: () => undefined,
    error: (message: string, details?: object) =>
      void errors.push(`${message} ${(details as { cause?: Error }).cause?.message}`),
  }
  return { log, errors }
}

const doors: [
  door: string,
  secure: (stage: ReturnType<typeof hanging>['stage'], outside: object) => unknown,
][] = [
  ['alone', (stage) => stage],
  ['pipeline', (stage, outside) => pipeline([stage], outside)],
  [
    'secureApi',
    (stage, outside) => testApi({ auth: false, extra: [{ after: 'auth', stage }], ...outside }).api,
  ],
]

describe.each(doors)('a stage that never answers (%s)', (_door, secure) => {
  test('is broken after 30 seconds, and no handler runs', async () => {
    const { stage, waiting } = hanging()
    const { log, errors } = logging()
    const clock = fakeClock()
    const { get, handled } = serve(secure(stage, { clock, log }) as never, { clock, log })
    const reply = get('/').then((sent) => sent)
    await waiting
    clock.advance(29_999)
    await new Promise(setImmediate)
    expect(errors).toEqual([])
    clock.advance(1)
    const { status, text } = await reply
    expect([status, JSON.parse(text).code]).toEqual([500, 'broken'])
    expect(handled()).toBe(0)
    expect(errors).toEqual(['slow: broken slow gave no answer within 30000 ms'])
  })
})

test('what it answers later changes nothing', async () => {
  let answer = (_verdict: undefined): void => undefined
  const { stage, waiting } = hanging({ timeoutMs: 100 }, () => new Promise((resolve) => (answer = resolve)))
  const { get, handled, clock } = serve(stage)
  const reply = get('/').then((sent) => sent)
  await waiting
  clock.advance(100)
  expect((await reply).status).toBe(500)
  answer(undefined)
  await new Promise(setImmediate)
  expect(handled()).toBe(0)
})

test('one that answers in time leaves no timer behind', async () => {
  const clock = fakeClock()
  let timers = 0
  const counted = {
    ...clock,
    after(ms: number, callback: () => void) {
      timers++
      const cancel = clock.after(ms, callback)
      return () => (timers--, cancel())
    },
  }
  const { stage } = hanging({}, () => Promise.resolve(undefined))
  await serve(stage, { clock: counted }).get('/').expect(200)
  expect(timers).toBe(0)
})

test('one with a deadline of its own is waited for', async () => {
  let answer = (_verdict: undefined): void => undefined
  const { stage, waiting } = hanging({ timeoutMs: false }, () => new Promise((resolve) => (answer = resolve)))
  const { get, clock } = serve(stage)
  const reply = get('/').then((sent) => sent)
  await waiting
  clock.advance(86_400_000)
  await new Promise(setImmediate)
  answer(undefined)
  expect((await reply).status).toBe(200)
})

test('report mode does not let a request past it', async () => {
  const { stage, waiting } = hanging()
  const { get, handled, clock } = serve(stage, { enforcement: () => 'report' })
  const reply = get('/').then((sent) => sent)
  await waiting
  clock.advance(30_000)
  expect((await reply).status).toBe(500)
  expect(handled()).toBe(0)
})

test('a promise of somebody else that throws when it is asked is broken too', async () => {
  const { stage } = hanging(
    {},
    () =>
      ({
        then: () => {
          throw new Error('no')
        },
      }) as never,
  )
  const { get, handled } = serve(stage)
  await get('/').expect(500)
  expect(handled()).toBe(0)
})

test('a reply that it never shapes is refused', async () => {
  let arrived = (): void => undefined
  const waiting = new Promise<void>((resolve) => (arrived = resolve))
  const shaping = defineStage('slow', () => ({ timeoutMs: 50, shape: () => (arrived(), never) }))()
  const { get, clock } = serve(shaping, {
    handler: (_req: IncomingMessage, res: ServerResponse) => sendJson(res, { card: '4111' }),
  })
  const reply = get('/').then((sent) => sent)
  await waiting
  clock.advance(50)
  const { status, text } = await reply
  expect([status, JSON.parse(text).code]).toEqual([500, 'unshapable'])
  expect(text).not.toContain('4111')
})

test('a way to prove who you are that never answers is broken', async () => {
  let arrived = (): void => undefined
  const waiting = new Promise<void>((resolve) => (arrived = resolve))
  const method = defineStage('own', (): Omit<Method, 'name'> => ({
    methodName: 'own',
    recognises: () => true,
    challenge: () => 'Own',
    enter: () => (arrived(), never),
  }))() as MethodMiddleware
  const { get, handled, clock } = serve(auth([method]))
  const reply = get('/').then((sent) => sent)
  await waiting
  clock.advance(30_000)
  expect((await reply).status).toBe(500)
  expect(handled()).toBe(0)
})

test.each([0, -1, 1.5, NaN, Infinity, '5', true, null])('timeoutMs cannot be %p', (timeoutMs) => {
  expect(() => hanging({ timeoutMs } as never)).toThrow('slow.timeoutMs must be an integer')
})
