/** One proof among those that an authentication was made of. */
export interface Factor {
  /** A name of RFC 8176 where it has one: `pwd`, `otp`, `hwk`. */
  readonly method: string
  /** When it was shown, in seconds since 1970. */
  readonly at: number
}

/** How, how strongly and when the caller proved who it is, as far as that is known. Whatever is missing was not proven. */
export interface Authentication {
  /**
   * When the authentication as a whole was made, which is when `acr` was reached, in seconds since 1970: `auth_time` of a token. A factor that
   * was shown since does not move it, and has its time in `factors`.
   */
  readonly at?: number
  /** The level that its issuer says was reached: `acr` of a token. */
  readonly acr?: string
  /** The methods that were used, by their names in RFC 8176 where they have one: `amr` of a token. */
  readonly amr: readonly string[]
  /** Where each method has a time of its own, as in a session: the time of each. */
  readonly factors?: readonly Factor[]
}
