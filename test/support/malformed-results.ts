import type { HitResult } from '../../src/kernel/ports.js'

const throwing = (property: string, target: object): unknown =>
  Object.defineProperty(target, property, {
    get() {
      throw new Error('the connection is closed')
    },
  })

const fine: HitResult = { allowed: true, left: 4, refillMs: 1_000, retryMs: 0 }
const but = (change: object) => [{ ...fine, ...change }]

/** What a store may answer to one hit, and what is no answer. Each is made anew. */
export const malformedResults: [what: string, make: () => unknown][] = [
  ['nothing', () => undefined],
  ['null', () => null],
  ['a word', () => 'OK'],
  ['a number', () => 1],
  ['true', () => true],
  ['an object like a list', () => ({ 0: fine, length: 1 })],
  ['a bare result', () => fine],
  ['too few', () => []],
  ['too many', () => [fine, fine]],
  ['a list of nothing', () => [undefined]],
  ['a list of null', () => [null]],
  ['a list with a hole', () => new Array(1)],
  ['a list of a word', () => ['OK']],
  ['a list of a list', () => [[true, 4]]],
  ['an empty result', () => [{}]],
  ['allowed as NaN', () => [{ allowed: NaN }]],
  ['allowed as 1', () => but({ allowed: 1 })],
  ['allowed as text', () => but({ allowed: 'false' })],
  ['allowed as nothing', () => but({ allowed: undefined })],
  ['left as NaN', () => but({ left: NaN })],
  ['left as text', () => but({ left: '4' })],
  ['left as a bigint', () => but({ left: 4n })],
  ['left as infinity', () => but({ left: Infinity })],
  ['refillMs as nothing', () => but({ refillMs: undefined })],
  ['refillMs as NaN', () => but({ refillMs: NaN })],
  ['retryMs as null', () => but({ retryMs: null })],
  ['retryMs as infinity', () => but({ allowed: false, retryMs: Infinity })],
  ['a result that throws', () => [throwing('allowed', { ...fine })]],
  ['a number that throws', () => [throwing('left', { ...fine })]],
  ['a list that throws', () => throwing('0', [fine])],
  [
    'a list without a length',
    () =>
      new Proxy([fine], {
        get: () => {
          throw new Error('closed')
        },
      }),
  ],
  ['a promise that throws when it is asked', () => throwing('then', {})],
  [
    'a promise that throws when it is called',
    () => ({
      then: () => {
        throw new Error('closed')
      },
    }),
  ],
]
