import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { importSecret } from '../../src/kernel/secret.js'
import { staticSecrets } from '../../src/identity/static-keys.js'
import { ConfigError } from '../../src/kernel/config-error.js'

const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
  type: 'spki',
  format: 'pem',
})

test.each<[what: string, secret: unknown, message: string]>([
  ['31 bytes', randomBytes(31), 'must have at least 32 bytes, got 31'],
  ['nothing', '', 'must have at least 32 bytes, got 0'],
  ["jwt.io's example", 'a-string-secret-at-least-256-bits-long', 'published example'],
  ["jwt.io's example in capitals", 'A-STRING-SECRET-AT-LEAST-256-BITS-LONG', 'published example'],
  ["jwt.io's example without hyphens", 'a string secret at least 256 bits long', 'published example'],
  ["Supabase's example", 'super-secret-jwt-token-with-at-least-32-characters-long', 'published example'],
  [
    "NestJS's example",
    'DO NOT USE THIS VALUE. INSTEAD, CREATE A COMPLEX SECRET AND KEEP IT SAFE OUTSIDE OF THE SOURCE CODE.',
    'published example',
  ],
  [
    'the key of RFC 7515',
    Buffer.from(
      'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
      'base64url',
    ),
    'published example',
  ],
  ['zeros', Buffer.alloc(64), 'pattern'],
  ['one word over and over', 'supersecret'.repeat(4), 'pattern'],
  ['one word over and over, cut off', 'mypassword'.repeat(4).slice(0, 35), 'pattern'],
  ['the digits', '12345678901234567890123456789012', 'pattern'],
  ['the hexadecimal digits', '0123456789abcdef0123456789abcdef', 'pattern'],
  ['few characters', 'aabbccddaabdcabbdcabdacbbdaacdbaab', 'pattern'],
  ['a public key', pem, 'is a PEM key'],
  ['a number', 1234567890, 'must be a string, bytes or a KeyObject'],
  ['null', null, 'must be a string, bytes or a KeyObject'],
  ['a public KeyObject', generateKeyPairSync('ed25519').publicKey, 'must be a string, bytes or a KeyObject'],
])('refuses %s', (_what, secret, message) => {
  expect(() => importSecret('bearer.secret', secret)).toThrow(ConfigError)
  expect(() => importSecret('bearer.secret', secret)).toThrow(message)
})

test('takes text as UTF-8, bytes as they are, and keys', () => {
  const bytes = randomBytes(32)
  expect(importSecret('s', new Uint8Array(bytes)).export()).toEqual(bytes)
  expect(importSecret('s', new DataView(bytes.buffer, bytes.byteOffset, 32)).export()).toEqual(bytes)
  expect(importSecret('s', createSecretKey(bytes)).export()).toEqual(bytes)
  expect(importSecret('s', bytes.toString('hex')).export()).toEqual(Buffer.from(bytes.toString('hex')))
})

test('takes every random secret, as bytes, hex and base64', () => {
  for (let n = 0; n < 200; n++) {
    const bytes = randomBytes(32)
    for (const one of [bytes, bytes.toString('hex'), bytes.toString('base64')]) importSecret('s', one)
  }
})

test('no message contains the secret', () =>
  fc.assert(
    fc.property(fc.string({ minLength: 4, maxLength: 31, unit: 'grapheme-ascii' }), (secret) => {
      fc.pre(secret.trim().length > 3)
      try {
        importSecret('OPTION', secret)
      } catch (error) {
        expect(
          (error as Error).message.replace(
            /^OPTION must have at least 32 bytes, got \d+; make one with: openssl rand -base64 48$/,
            '',
          ),
        ).toBe('')
      }
    }),
  ))

test.each([
  [['HS256'], 32, true],
  [['HS384'], 47, false],
  [['HS384'], 48, true],
  [['HS256', 'HS512'], 63, false],
  [['HS512'], 64, true],
] as const)('%j with %i bytes: %s (RFC 7518 section 3.2)', (algorithms, size, accepted) => {
  const attempt = () => staticSecrets('bearer.secret', [randomBytes(size)], algorithms)
  if (accepted) expect(attempt().keys).toHaveLength(1)
  else expect(attempt).toThrow(ConfigError)
})
