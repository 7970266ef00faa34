import { generateKeyPairSync } from 'node:crypto'
import type { SigningAlgorithm } from '../../src/identity/algorithms.js'
import { KeySet, type VerificationKey } from '../../src/identity/key-set.js'

const { publicKey } = generateKeyPairSync('ed25519')
const key = (kid?: string, algorithms: SigningAlgorithm[] = ['EdDSA']): VerificationKey => ({
  ...(kid !== undefined && { kid }),
  key: publicKey,
  algorithms,
})

test.each<[what: string, keys: VerificationKey[], kid: string | undefined, found: number, final: boolean]>([
  ['a name that is there', [key('a'), key('b')], 'a', 1, true],
  ['a name that is not', [key('a'), key('b')], 'c', 0, false],
  ['a name that was withdrawn', [key('a')], 'gone', 0, true],
  ['a name whose key has another use', [key('a', ['RS256'])], 'a', 0, true],
  ['one name for two keys', [key('a', ['RS256']), key('a'), key('a')], 'a', 2, true],
  ['no name', [key('a'), key('b')], undefined, 2, false],
  ['a name, where a key has none', [key()], 'a', 1, false],
  ['a name, where another key has none', [key('a'), key()], 'a', 2, true],
  ['nothing at all', [], 'a', 0, false],
])('%s', (_what, keys, kid, found, final) => {
  const lookup = new KeySet(keys, new Set(['gone'])).lookup(kid, 'EdDSA')
  expect(lookup.candidates).toHaveLength(found)
  expect(lookup.final).toBe(final)
})

test('never makes one token cost more than four signature checks', () => {
  const many = Array.from({ length: 50 }, () => key('a'))
  expect(new KeySet(many).lookup('a', 'EdDSA').candidates).toHaveLength(4)
  expect(new KeySet(many).lookup(undefined, 'EdDSA').candidates).toHaveLength(4)
})
