import { createPrivateKey, KeyObject, randomUUID, type JsonWebKey } from 'node:crypto'
import type { Algorithm } from 'jsonwebtoken'
import { ConfigError } from '../kernel/config-error.js'
import type { Clock, Later } from '../kernel/ports.js'
import { when } from '../lib/when.js'
import { jsonwebtoken } from './signature.js'

/** A private key that proves who this API is: a JWK, the text of a PEM file, or a `KeyObject`. */
export type PrivateKey = (JsonWebKey & { kid?: string; alg?: string }) | string | KeyObject

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
const MIN_RSA_BITS = 2048
const CURVES: Readonly<Record<string, Algorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
}
const RSA: readonly Algorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

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
  const { kid, alg } = given instanceof KeyObject || typeof given === 'string' ? {} : given
  const key = importKey(option, given)
  const algorithm = algorithmFor(option, key, alg)
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

function importKey(option: string, given: PrivateKey): KeyObject {
  try {
    const key =
      given instanceof KeyObject
        ? given
        : typeof given === 'string'
          ? createPrivateKey(given)
          : createPrivateKey({ key: given, format: 'jwk' })
    if (key.type === 'private') return key
  } catch {
    // Node's message may quote the key.
  }
  throw new ConfigError(`${option} must be a private key: a JWK, a PEM text or a KeyObject`, 'unusable-key')
}

function algorithmFor(
  option: string,
  { asymmetricKeyType, asymmetricKeyDetails }: KeyObject,
  alg?: string,
): Algorithm {
  const { namedCurve = '', modulusLength = 0 } = asymmetricKeyDetails ?? {}
  const ec = CURVES[namedCurve]
  const fitting =
    asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS ? RSA : ec === undefined ? [] : [ec]
  const algorithm = alg === undefined ? fitting[0] : fitting.find((one) => one === alg)
  if (algorithm !== undefined) return algorithm
  throw new ConfigError(
    `${option} must be RSA of at least ${MIN_RSA_BITS} bits, P-256, P-384 or P-521, and its \`alg\` one of RS, PS and ES that it can sign`,
    'unusable-key',
  )
}
