/**
 * What the issuer says, by the claims of RFC 7519. `iss`, `sub`, `aud`, `exp` and `iat` are always there; they are optional
 * here because other packages that declare `req.auth` have them so, and both must fit.
 */
export interface BearerClaims {
  readonly iss?: string
  readonly sub?: string
  readonly aud?: string | readonly string[]
  readonly exp?: number
  readonly iat?: number
  readonly nbf?: number
  readonly jti?: string
  readonly [claim: string]: unknown
}

/** What a handler finds on `req.auth` behind `bearer`. Frozen, because all requests with the same token share it. */
export interface BearerAuth {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: BearerClaims
  readonly token: string
}

/** What `bearer` adds to a request, besides the context. */
export interface BearerRequest {
  /** Header, payload and text of the access token that `bearer` verified. */
  auth?: BearerAuth
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- declaration merging has no other form
  namespace Express {
    // Inherited, and not declared: whoever else declares `auth` for Express has the last word, where two declarations clash.
    // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- it merges with the interface of Express
    interface Request extends BearerRequest {}
  }
}
