import { isBase64url } from '../lib/base64url.js'

/** What a token is bound to, and is worth nothing without (RFC 7800 section 3.1). */
export interface Binding {
  /** The thumbprint of the key that signs DPoP proofs (RFC 9449 section 6.1). */
  readonly jkt: string | undefined
  /** The thumbprint of the certificate that the client shows to TLS (RFC 8705 section 3.1). */
  readonly x5t: string | undefined
}

const UNBOUND: Binding = { jkt: undefined, x5t: undefined }

/** Whether a token is bound to anything. */
export function isBound({ jkt, x5t }: Binding): boolean {
  return jkt !== undefined || x5t !== undefined
}

/** The length of a SHA-256 hash in base64url. */
const HASH_LENGTH = 43

/** `undefined` for what is malformed, or names a key in a way that is not checked here: then nobody can have shown it. */
export function readBinding(cnf: unknown): Binding | undefined {
  if (cnf === undefined) return UNBOUND
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) return undefined
  const { jkt, 'x5t#S256': x5t, ...others } = cnf as Record<string, unknown>
  if (Object.keys(others).length > 0 || (jkt === undefined && x5t === undefined)) return undefined
  return isHashOrAbsent(jkt) && isHashOrAbsent(x5t) ? { jkt, x5t } : undefined
}

function isHashOrAbsent(value: unknown): value is string | undefined {
  return (
    value === undefined || (typeof value === 'string' && value.length === HASH_LENGTH && isBase64url(value))
  )
}
