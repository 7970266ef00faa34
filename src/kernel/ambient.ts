import { slot } from './context.js'

/** What is known of a credential that the client sent unasked. */
export interface AmbientProof {
  /**
   * What belongs to this very credential and changes with it, for what is to be bound to it; no secret is in it.
   * `undefined` if there is none.
   */
  readonly binding: string | undefined
}

/**
 * Set where the caller was proven by a credential that browsers or TLS send unasked, a cookie or a client certificate: any
 * page on the web could have caused the request. `undefined` where it was not.
 */
export const ambientProof = slot<AmbientProof | undefined>('ambient-proof')
