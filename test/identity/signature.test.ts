import { generateKeyPairSync } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { isSignedBy } from '../../src/identity/signature.js'
import { TokenReader, type ReadToken } from '../../src/identity/token.js'

const ours = generateKeyPairSync('rsa', { modulusLength: 2048 })
const theirs = generateKeyPairSync('rsa', { modulusLength: 2048 })
const token = new TokenReader(new Set(['jwt'])).read(
  jwt.sign({ sub: 'a' }, ours.privateKey, { algorithm: 'RS256' }),
) as ReadToken
const clock = { nowSeconds: Date.now() / 1000, toleranceSeconds: 0 }
const keyOf = ({ publicKey: key }: typeof ours) => ({ key, algorithms: ['RS256' as const] })

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
