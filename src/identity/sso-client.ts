import { oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { CLIENT_ALGORITHMS, CLIENT_KEYS } from './client-auth.js'
import { importPrivateKey, type ImportedKey, type PrivateKey } from './private-key.js'

/** What is registered of the application at its provider, to know it by. */
export interface SsoClientOptions {
  /** The name under which this application is registered there. Required. */
  clientId: string
  /** Its password there. Required, unless `privateKey` is there, or `clientAuth` is `'none'`. */
  clientSecret?: string
  /**
   * Its private key (`private_key_jwt`, RFC 7523 section 2.2), so that no password is sent: RSA of 2048 bits or more, P-256, P-384 or P-521. The
   * `kid` and `alg` of a JWK are used; without `alg`, RS256 or the ES algorithm of the curve. Default: none.
   */
  privateKey?: PrivateKey
  /**
   * How the password is sent: `'basic'` in `Authorization`, or `'post'` in the form (RFC 6749 section 2.3.1). `'none'`: it is a public client, which
   * has nothing to show, and is held by PKCE alone. Default `'basic'`.
   */
  clientAuth?: 'basic' | 'post' | 'none'
}

/** The same, checked: a password and how it is sent, a key, or nothing. */
export type SsoClient =
  | { readonly by: 'basic' | 'post'; readonly secret: string }
  | { readonly by: 'key'; readonly key: ImportedKey }
  | { readonly by: 'none' }

/** @throws ConfigError that never contains a secret */
export function prepareSsoClient({ clientSecret, privateKey, clientAuth }: SsoClientOptions): SsoClient {
  const by =
    clientAuth === undefined ? undefined : oneOf('sso.clientAuth', clientAuth, ['basic', 'post', 'none'])
  const given = [clientSecret !== undefined, privateKey !== undefined, by === 'none'].filter(Boolean).length
  if (given !== 1)
    throw new ConfigError(
      "sso needs one of clientSecret, privateKey, and clientAuth: 'none': it says who it is in one way, as it is registered",
    )
  if (by === 'none') return { by }
  if (privateKey === undefined)
    return { by: by ?? 'basic', secret: registered('sso.clientSecret', clientSecret) }
  if (by !== undefined)
    throw new ConfigError(
      `sso.clientAuth says how a password is sent, and privateKey sends none; leave it out`,
    )
  return { by: 'key', key: importPrivateKey('sso.privateKey', privateKey, CLIENT_ALGORITHMS, CLIENT_KEYS) }
}

/** @throws ConfigError unless it can be sent as it is */
export function registered(option: string, value: unknown): string {
  if (typeof value === 'string' && /^[\x20-\x7e]+$/.test(value)) return value
  throw new ConfigError(
    `${option} must be a text of ASCII characters, as it is registered, got ${show(value)}`,
  )
}
