import { defineStage } from '../../src/kernel/define.js'
import { refuse } from '../../src/kernel/problem.js'
import { serve } from '../../src/testing/index.js'
import { unreadable } from '../support/unreadable.js'

const refusing = defineStage('refusing', () => ({
  enter: () =>
    refuse('forbidden', { detail: 'No.', reason: 'a secret reason', headers: { 'X-Why': 'because' } }),
}))

describe('a refusal', () => {
  test('is RFC 9457, carries its headers, and keeps the handler from running', async () => {
    const { get, handled } = serve(refusing())

    const reply = await get('/').expect(403).expect('Content-Type', 'application/problem+json; charset=utf-8')

    expect(reply.headers).toMatchObject({ 'cache-control': 'no-store', 'x-why': 'because' })
    expect(JSON.parse(reply.text)).toEqual({
      type: 'urn:secure-api:problem:forbidden',
      title: 'The caller may not do this.',
      status: 403,
      code: 'forbidden',
      detail: 'No.',
    })
    expect(handled()).toBe(0)
  })
})

test.each([
  [
    'throws',
    () => {
      throw new Error('secret')
    },
  ],
  ['rejects', () => Promise.reject(new Error('secret'))],
  ['returns something else', () => true as never],
  ['resolves to something else', () => Promise.resolve('yes' as never)],
  ...unreadable.flatMap(([what, value]): [string, () => never][] => [
    [`returns ${what}`, () => value as never],
    [`rejects with ${what}`, () => Promise.reject(value) as never],
  ]),
  ['answers with a promise that throws', () => Object.assign(Promise.resolve(), { then: () => { throw new Error('secret') } }) as never], // prettier-ignore
])('a stage that %s is answered by a bare 500', async (_how, enter) => {
  const { get, handled } = serve(defineStage('odd', () => ({ enter }))())

  const reply = await get('/').expect(500)

  expect(JSON.parse(reply.text).code).toBe('broken')
  expect(reply.text).not.toContain('secret')
  expect(handled()).toBe(0)
})
