import { createSecretKey, type KeyObject } from 'node:crypto'
import { show } from './check.js'
import { ConfigError } from './config-error.js'

/** A shared secret: its bytes, its UTF-8 text, or a `KeyObject` of type `secret`. */
export type Secret = string | Uint8Array | KeyObject

/**
 * Secrets of 32 bytes and more that stand in specifications, tutorials and default configurations, so that anyone can
 * mint tokens with them. Compared without case and separators.
 */
const published = new Set(
  [
    // jwt.io, for HS256, HS384 and HS512
    'a-string-secret-at-least-256-bits-long',
    'a-valid-string-secret-that-is-at-least-384-bits-long',
    'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
    // RFC 7515 appendix A.1 and RFC 7520 section 3.5, as text; as bytes they are below
    'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg',
    // NestJS
    'DO NOT USE THIS VALUE. INSTEAD, CREATE A COMPLEX SECRET AND KEEP IT SAFE OUTSIDE OF THE SOURCE CODE.',
    // Supabase
    'super-secret-jwt-token-with-at-least-32-characters-long',
    'your-super-secret-jwt-token-with-at-least-32-characters-long',
    // PostgREST and Hasura
    'reallyreallyreallyreallyverysafe',
    '3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R',
    // what people type
    'abcdefghijklmnopqrstuvwxyz123456',
    'abcdefghijklmnopqrstuvwxyz0123456789',
    'abcdefghijklmnopqrstuvwxyzabcdef',
    'this-is-a-very-long-secret-key-for-jwt',
    'my-super-secret-key-that-is-at-least-32-characters-long',
    'your-secret-key-must-be-at-least-32-characters',
    'your-super-secret-key-change-this-in-production',
    'your-super-secret-jwt-key-change-this-in-production',
    'your-secret-key-here-change-in-production',
  ].map(normal),
)

const publishedBytes = new Set(
  [
    'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg',
  ].map((text) => Buffer.from(text, 'base64url').toString('hex')),
)

const MIN_BYTES = 32

/**
 * A secret that is worth the name: at least 32 bytes (RFC 7518 section 3.2), no public key, none of the published ones,
 * and not a few bytes over and over.
 *
 * @throws ConfigError that never contains the secret
 */
export function importSecret(option: string, secret: unknown): KeyObject {
  const bytes = bytesOf(option, secret)
  if (bytes.includes('-----BEGIN')) {
    throw new ConfigError(
      `${option} is a PEM key: used as a secret, everyone who knows the public key could mint tokens; give it as \`keys\``,
      'weak-secret',
    )
  }
  if (bytes.length < MIN_BYTES) {
    throw new ConfigError(
      `${option} must have at least ${MIN_BYTES} bytes, got ${bytes.length}; make one with: openssl rand -base64 48`,
      'weak-secret',
    )
  }
  if (isGuessable(bytes)) {
    throw new ConfigError(
      `${option} is a published example or a pattern that anyone can guess; make one with: openssl rand -base64 48`,
      'weak-secret',
    )
  }
  return createSecretKey(bytes)
}

function bytesOf(option: string, secret: unknown): Buffer {
  if (typeof secret === 'string') return Buffer.from(secret, 'utf8')
  if (ArrayBuffer.isView(secret)) return Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength)
  if ((secret as Partial<KeyObject> | null | undefined)?.type === 'secret')
    return (secret as KeyObject).export()
  throw new ConfigError(
    `${option} must be a string, bytes or a KeyObject of type 'secret', got ${show(secret)}`,
  )
}

function isGuessable(bytes: Buffer): boolean {
  return (
    published.has(normal(bytes.toString('utf8'))) ||
    publishedBytes.has(bytes.toString('hex')) ||
    new Set(bytes).size < 8 ||
    isRepetition(bytes)
  )
}

function normal(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** Whether the whole is a piece of at most half its length, over and over. */
function isRepetition(bytes: Buffer): boolean {
  for (let period = 1; period <= bytes.length / 2; period++) {
    if (bytes.subarray(period).equals(bytes.subarray(0, bytes.length - period))) return true
  }
  return false
}
