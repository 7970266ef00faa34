import type { Algorithm } from 'jsonwebtoken'
import { signingAlgorithms } from './algorithms.js'
import type { Claims } from './claims.js'
import { jose, jsonwebtoken } from './signature.js'
import type { SigningKey } from './signing-keys.js'

/** An access token (RFC 9068 section 2) with these claims. */
export async function signAccessToken(claims: Claims, { kid, algorithm, key }: SigningKey): Promise<string> {
  const header = { typ: 'at+jwt', kid }
  if (signingAlgorithms[algorithm].engine === 'jose') {
    const { SignJWT } = await jose()
    return new SignJWT(claims).setProtectedHeader({ ...header, alg: algorithm }).sign(key)
  }
  const alg = algorithm as Algorithm
  return (await jsonwebtoken()).sign(claims, key, { algorithm: alg, header: { ...header, alg } })
}
