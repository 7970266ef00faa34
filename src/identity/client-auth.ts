import { randomUUID } from 'node:crypto'
import { ConfigError } from '../kernel/config-error.js'
import type { Clock, Later } from '../kernel/ports.js'
import { when } from '../lib/when.js'
import { importPrivateKey, type PrivateKey } from './private-key.js'
import { jsonwebtoken } from './signature.js'

/** How this API proves to its issuer who it is. */
export interface ClientOptions {
  /** The name under which this API is registered at the issuer. */
  clientId: string
  /** Its password there (`client_secret_basic`, RFC 6749 section 2.3.1). Required, unless `privateKey` is there. */
  clientSecret?: string
  /**
   * Its private key (`private_key_jwt`, RFC 7523 section 2.2): RSA of 2048 bits or more, P-256, P-384 or P-521. The `kid` and `alg`
   * of a JWK are used; without `alg`, RS256 or the ES algorithm of the curve. Required, unless `clientSecret` is there.
   */
  privateKey?: PrivateKey
}

/** What one question takes along. */
export interface ClientProof {
  readonly headers: Readonly<Record<string, string>>
  readonly form: Readonly<Record<string, string>>
}

export type ClientAuth = (clock: Clock) => Later<ClientProof>

const ASSERTION_SECONDS = 60
/** What clients sign with where they show who they are, the usual algorithm of a type first. */
export const CLIENT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
] as const
export const CLIENT_KEYS =
  'RSA of at least 2048 bits, P-256, P-384 or P-521, and its `alg` one of RS, PS and ES that it can sign'

/** @throws ConfigError that never contains the secret */
export function clientAuth(option: string, issuer: string, client: ClientOptions): ClientAuth {
  const { clientId, clientSecret, privateKey } = client
  if (typeof clientId !== 'string' || !/^[\x20-\x7e]+$/.test(clientId)) {
    throw new ConfigError(
      `${option}.clientId must be the name under which this API is registered at ${issuer}`,
    )
  }
  if ((clientSecret === undefined) === (privateKey === undefined)) {
    throw new ConfigError(
      `${option} needs one of \`clientSecret\` and \`privateKey\`: only who proves who it is may ask about tokens (RFC 7662 section 2.1)`,
    )
  }
  return privateKey === undefined
    ? withSecret(`${option}.clientSecret`, clientId, clientSecret)
    : withKey(`${option}.privateKey`, issuer, clientId, privateKey)
}

function withSecret(option: string, clientId: string, secret: unknown): ClientAuth {
  if (typeof secret !== 'string' || secret === '') throw new ConfigError(`${option} must be a text`)
  const pair = `${formEncoded(clientId)}:${formEncoded(secret)}`
  const proof = { headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }, form: {} }
  return () => proof
}

/** RFC 6749 section 2.3.1 encodes both before they are joined. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

function withKey(option: string, issuer: string, clientId: string, given: PrivateKey): ClientAuth {
  const { kid, key, algorithm } = importPrivateKey(option, given, CLIENT_ALGORITHMS, CLIENT_KEYS)
  const signing = { algorithm, ...(kid !== undefined && { keyid: kid }) }
  return (clock) => {
    const now = Math.floor(clock.now() / 1000)
    const until = { iat: now, exp: now + ASSERTION_SECONDS }
    const claims = { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), ...until }
    return when(jsonwebtoken(), (engine) => ({
      headers: {},
      form: {
        client_id: clientId,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: engine.sign(claims, key, signing),
      },
    }))
  }
}
