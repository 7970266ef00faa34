import { generateKeyPairSync } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { isSignedBy, jsonwebtoken } from '../../src/identity/signature.js'
import { TokenReader, type ReadToken } from '../../src/identity/token.js'

const ours = generateKeyPairSync('rsa', { modulusLength: 2048 })
const theirs = generateKeyPairSync('rsa', { modulusLength: 2048 })
const token = new TokenReader(new Set(['jwt'])).read(
  jwt.sign({ sub: 'a' }, ours.privateKey, { algorithm: 'RS256' }),
) as ReadToken
const clock = { nowSeconds: Date.now() / 1000, toleranceSeconds: 0 }
const keyOf = ({ publicKey: key }: typeof ours) => ({ key, algorithms: ['RS256' as const] })

beforeAll(async () => {
  await jsonwebtoken()
})

test('tells who signed, and leaves the length of stacks as it was, whatever the answer', () => {
  const before = Error.stackTraceLimit

  expect(isSignedBy([keyOf(theirs)], token, clock)).toBe(false)
  expect(isSignedBy([keyOf(theirs), keyOf(ours)], token, clock)).toBe(true)
  expect(Error.stackTraceLimit).toBe(before)
})

test('where nobody may change Error, tells it all the same', () => {
  const { writable } = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')!
  Object.defineProperty(Error, 'stackTraceLimit', { writable: false })
  try {
    expect(isSignedBy([keyOf(theirs)], token, clock)).toBe(false)
    expect(isSignedBy([keyOf(ours)], token, clock)).toBe(true)
  } finally {
    Object.defineProperty(Error, 'stackTraceLimit', { writable: writable! })
  }
})

describe('before the engine is loaded', () => {
  let loads = 0
  let fresh: typeof import('../../src/identity/signature.js')
  beforeEach(async () => {
    loads = 0
    jest.doMock('jsonwebtoken', () => {
      loads++
      return jest.requireActual<object>('jsonwebtoken')
    })
    await jest.isolateModulesAsync(async () => {
      fresh = await import('../../src/identity/signature.js')
    })
  })
  afterEach(() => jest.dontMock('jsonwebtoken'))

  test('nothing has loaded it, and tokens that come wait and are told apart all the same', async () => {
    expect(loads).toBe(0)
    await jest.isolateModulesAsync(async () => {
      const verdicts = [
        fresh.isSignedBy([keyOf(theirs)], token, clock),
        fresh.isSignedBy([keyOf(theirs), keyOf(ours)], token, clock),
      ]
      expect(verdicts).toEqual([expect.any(Promise), expect.any(Promise)])
      expect([await verdicts[0], await verdicts[1]]).toEqual([false, true])
    })
    expect(loads).toBe(1)
    expect(fresh.isSignedBy([keyOf(ours)], token, clock)).toBe(true)
  })
})
