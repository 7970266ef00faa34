import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import * as v from 'valibot'
import { z } from 'zod'
import { validate, type InferInput } from '../../src/data/validate.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const assertType = <T extends true>(holds: T) => holds

const options = {
  body: z.object({ count: z.coerce.number(), at: z.string().transform((text) => new Date(text)) }),
  query: v.object({ page: v.pipe(v.string(), v.transform(Number)) }),
  params: { type: 'object' },
} as const

test('what handlers get is typed by the output of Standard Schemas', () => {
  type Input = InferInput<typeof options>
  type Expected = {
    readonly params: unknown
    readonly query: { page: number }
    readonly body: { count: number; at: Date }
  }
  expect(assertType<Equal<Input, Expected>>(true)).toBe(true)

  const stage = validate(options)
  expect(stage.stage.name).toBe('validate')
  type Returned = ReturnType<typeof stage.input>
  expect(assertType<Equal<Returned, Expected>>(true)).toBe(true)
})

test('input() says so if the request did not pass through', () => {
  const stage = validate({ body: z.object({}) })
  expect(() => stage.input(new IncomingMessage(new Socket()))).toThrow(
    'The request was not validated here: body is missing',
  )
})
