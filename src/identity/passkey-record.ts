/** A passkey of a subject, without its public key. Times are seconds since 1970. */
export interface PasskeyInfo {
  /** Its credential id, in base64url. */
  readonly id: string
  /** What its owner calls it. */
  readonly name?: string
  /** `singleDevice`: it never leaves the authenticator. `multiDevice`: it may be synchronised. */
  readonly deviceType: 'singleDevice' | 'multiDevice'
  readonly backedUp: boolean
  /** The model of the authenticator, as it says; zeros where it does not. Unproven without attestation. */
  readonly aaguid: string
  readonly createdAt: number
  readonly lastUsedAt?: number
}

export interface StoredPasskey extends PasskeyInfo {
  /** COSE key, in base64url. */
  readonly publicKey: string
  readonly counter: number
  readonly transports: readonly string[]
}

/** Who a passkey belongs to, as the principal that registered it. */
export interface PasskeyOwner {
  readonly id: string
  readonly subject: string
  readonly issuer?: string
}

/** All passkeys of one subject, as they are stored. */
export interface PasskeyRecord {
  readonly v: 1
  readonly owner: PasskeyOwner
  /** What authenticators know the subject by: random, so that they learn nothing. In base64url. */
  readonly handle: string
  readonly passkeys: readonly StoredPasskey[]
}

export const PASSKEYS = 'passkeys'
/** Subjects by their handles. */
export const HANDLES = 'passkey-handles'
/** Subjects by the ids of their passkeys: no passkey has two. */
export const CREDENTIALS = 'passkey-credentials'
/** Challenges that were used. */
export const USED = 'passkey-used'

/** @throws TypeError for what this package did not write */
export function readPasskeys(text: string): PasskeyRecord {
  const record = JSON.parse(text) as Partial<PasskeyRecord> | null
  if (record?.v === 1 && typeof record.handle === 'string' && Array.isArray(record.passkeys))
    return record as PasskeyRecord
  throw new TypeError('The store has something else than passkeys under the name of a subject')
}

export function passkeyInfo({
  id,
  name,
  deviceType,
  backedUp,
  aaguid,
  createdAt,
  lastUsedAt,
}: StoredPasskey): PasskeyInfo {
  return {
    id,
    ...(name !== undefined && { name }),
    deviceType,
    backedUp,
    aaguid,
    createdAt,
    ...(lastUsedAt !== undefined && { lastUsedAt }),
  }
}
