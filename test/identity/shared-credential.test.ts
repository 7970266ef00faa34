import { auth } from '../../src/identity/auth.js'
import type { Method } from '../../src/identity/method.js'
import { contextOf } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import { serve } from '../../src/testing/index.js'

/** A method that reads `x-key`, and says of itself what it is told to. */
const method = (methodName: string, more: Partial<Method> = {}) =>
  defineStage('key', (): Omit<Method, 'name'> => ({
    methodName,
    credential: 'x-key',
    recognises: ({ req }) => req.headers['x-key'] !== undefined,
    challenge: () => `Key name="${methodName}"`,
    enter(ctx) {
      ctx.principal = { id: methodName, subject: 'a', method: methodName, claims: {} }
    },
    ...more,
  }))()

async function whoJudges(...methods: ReturnType<typeof method>[]): Promise<string | undefined> {
  let who: string | undefined
  const { get } = serve(auth(methods), {
    handler(req, res) {
      who = contextOf(req)?.principal?.method
      res.end()
    },
  })
  await get('/').set('x-key', 'k').expect(200)
  return who
}

const sure = method('sure', { isSure: () => true })
const unsure = method('unsure', { isSure: () => false })
const plain = method('plain')
const other = method('other')

describe('of methods that read one credential', () => {
  test.each([
    ['the one that is sure', [plain, unsure, sure], 'sure'],
    ['the one that is sure, wherever it stands', [sure, unsure, plain], 'sure'],
    ['the first that does not ask itself, if none is sure', [unsure, plain, other], 'plain'],
    ['the first, if all of them doubt', [unsure, method('doubts', { isSure: () => false })], 'unsure'],
  ])('judges %s', async (_what, methods, expected) => {
    expect(await whoJudges(...methods)).toBe(expected)
  })

  test('one that does not recognise it is not asked whether it is sure', async () => {
    const blind = method('blind', { recognises: () => false, isSure: () => true })
    expect(await whoJudges(blind, plain)).toBe('plain')
  })

  test('one that answers later is broken, and nobody gets in', async () => {
    const late = method('late', { isSure: (() => Promise.reject(new Error('x'))) as never })
    const { get, handled } = serve(auth([plain, late]))
    await get('/').set('x-key', 'k').expect(500)
    expect(handled()).toBe(0)
  })
})

test('methods that read different credentials refuse two at once', async () => {
  const token = method('token', {
    credential: 'x-token',
    recognises: ({ req }) => req.headers['x-token'] !== undefined,
  })
  const { get, handled } = serve(auth([plain, token]))
  await get('/').set({ 'x-key': 'k', 'x-token': 't' }).expect(400)
  expect(handled()).toBe(0)
})
