import { randomBytes } from 'node:crypto'
import * as crypto from 'node:crypto'
import { Peppers, type HashedSecret } from '../../src/identity/api-key-peppers.js'

jest.mock('node:crypto', () => {
  const real = jest.requireActual<typeof crypto>('node:crypto')
  return { ...real, createHmac: jest.fn(real.createHmac) }
})

const [one, two, three] = [randomBytes(32), randomBytes(32), randomBytes(32)]
const peppers = new Peppers('pepper', one)

test('a hash is keyed: another pepper makes another one, and neither has the secret in it', () => {
  const [mine, theirs] = [peppers.hash('body'), new Peppers('pepper', two).hash('body')]
  expect(mine.hash).not.toBe(theirs.hash)
  expect(mine.pepper).not.toBe(theirs.pepper)
  expect(peppers.find('body', [theirs])).toBe(-1)
  // RFC 4231 test case 2, with a key that is long enough for nothing but a test of the function.
  expect(mine.hash).toBe(crypto.createHmac('sha256', one).update('body').digest('base64url'))
})

test('says which of two secrets it is', () => {
  const secrets = [peppers.hash('new'), peppers.hash('old')]
  expect([
    peppers.find('new', secrets),
    peppers.find('old', secrets),
    peppers.find('other', secrets),
  ]).toEqual([0, 1, -1])
})

test('a pepper that is not the first is good for what it hashed, and old; one that was left out is not', () => {
  const old = peppers.hash('body')
  const both = new Peppers('pepper', [two, one])
  expect(both.find('body', [old])).toBe(0)
  expect([both.isOld(old), both.isOld(both.hash('body'))]).toEqual([true, false])
  expect(new Peppers('pepper', [two, three]).find('body', [old])).toBe(-1)
})

test.each<[string, HashedSecret]>([
  ['empty', { hash: '', pepper: peppers.hash('body').pepper }],
  ['short', { ...peppers.hash('body'), hash: peppers.hash('body').hash.slice(0, 20) }],
  ['long', { ...peppers.hash('body'), hash: `${peppers.hash('body').hash}AAAA` }],
  ['zeros', { ...peppers.hash('body'), hash: Buffer.alloc(32).toString('base64url') }],
  ['under a name that no pepper has', { ...peppers.hash('body'), pepper: 'unknown' }],
])('a stored hash that is %s fits nothing', (_what, stored) => {
  expect(peppers.find('body', [stored])).toBe(-1)
})

test('there is nothing that fits no secret at all', () => {
  expect(peppers.find('', [])).toBe(-1)
  expect(peppers.find('body', [])).toBe(-1)
})

test('the work is the same for no secret, a wrong one, the right one and two (ASVS 6.3.8)', () => {
  const both = new Peppers('pepper', [two, one])
  const cases = [
    [],
    [both.hash('other')],
    [both.hash('body')],
    [peppers.hash('body')],
    [both.hash('x'), both.hash('body')],
    [{ hash: 'AAAA', pepper: 'unknown' }, both.hash('body')],
  ]
  const work = cases.map((secrets) => {
    jest.mocked(crypto.createHmac).mockClear()
    both.find('body', secrets)
    return jest.mocked(crypto.createHmac).mock.calls.length
  })
  expect(work).toEqual(cases.map(() => 2))
})

test.each([
  ['short', 'x', 'weak-secret'],
  ['a public example', 'your-super-secret-key-change-this-in-production', 'weak-secret'],
  ['a repetition', 'abcdefgh'.repeat(8), 'weak-secret'],
  ['nothing', undefined, undefined],
  ['an empty list', [], undefined],
  ['a list with a weak one', [randomBytes(32), 'x'], 'weak-secret'],
  ['six of them', Array.from({ length: 6 }, () => randomBytes(32)), undefined],
])('%s is no pepper', (_what, pepper, code) => {
  expect(() => new Peppers('apiKey.pepper', pepper as never)).toThrow(
    expect.objectContaining({
      name: 'ConfigError',
      message: expect.stringMatching(/^apiKey\.pepper/),
      ...(code && { code }),
    }),
  )
})
