import { generateKeyPairSync } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { isSignedBy, jws } from '../../src/identity/signature.js'
import { TokenReader, type ReadToken } from '../../src/identity/token.js'

const ours = generateKeyPairSync('rsa', { modulusLength: 2048 })
const theirs = generateKeyPairSync('rsa', { modulusLength: 2048 })
const token = new TokenReader(new Set(['jwt'])).read(
  jwt.sign({ sub: 'a' }, ours.privateKey, { algorithm: 'RS256' }),
) as ReadToken
const keyOf = ({ publicKey: key }: typeof ours) => ({ key, algorithms: ['RS256' as const] })

beforeAll(async () => {
  await jws()
})

test('tells who signed', () => {
  expect(isSignedBy([keyOf(theirs)], token)).toBe(false)
  expect(isSignedBy([keyOf(theirs), keyOf(ours)], token)).toBe(true)
})

test.each([0, 63, 65, 96])('a signature of %i bytes is none of P-256', (bytes) => {
  const { privateKey, publicKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const text = jwt.sign({ sub: 'a' }, privateKey, { algorithm: 'ES256' })
  const cut = `${text.slice(0, text.lastIndexOf('.'))}.${Buffer.alloc(bytes, 1).toString('base64url')}`
  const signedBy = (signed: string) =>
    isSignedBy([{ key, algorithms: ['ES256'] }], { text: signed, algorithm: 'ES256' })

  expect(signedBy(text)).toBe(true)
  expect(signedBy(cut)).toBe(false)
})

test('a key is never used with an algorithm that it is not for', () => {
  const text = jwt.sign({ sub: 'a' }, ours.privateKey, { algorithm: 'RS384' })
  expect(isSignedBy([keyOf(ours)], { text, algorithm: 'RS384' })).toBe(false)
})

describe('before the engine is loaded', () => {
  let loads = 0
  let fresh: typeof import('../../src/identity/signature.js')
  beforeEach(async () => {
    loads = 0
    jest.doMock('jws', () => {
      loads++
      return jest.requireActual<object>('jws')
    })
    await jest.isolateModulesAsync(async () => {
      fresh = await import('../../src/identity/signature.js')
    })
  })
  afterEach(() => jest.dontMock('jws'))

  test('nothing has loaded it, and tokens that come wait and are told apart all the same', async () => {
    expect(loads).toBe(0)
    await jest.isolateModulesAsync(async () => {
      const verdicts = [
        fresh.isSignedBy([keyOf(theirs)], token),
        fresh.isSignedBy([keyOf(theirs), keyOf(ours)], token),
      ]
      expect(verdicts).toEqual([expect.any(Promise), expect.any(Promise)])
      expect([await verdicts[0], await verdicts[1]]).toEqual([false, true])
    })
    expect(loads).toBe(1)
    expect(fresh.isSignedBy([keyOf(ours)], token)).toBe(true)
  })
})
