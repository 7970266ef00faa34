import { slot } from './context.js'
import type { Stage } from './stage.js'

/** What is known of a credential that the client sent unasked. */
export interface AmbientProof {
  /**
   * What belongs to this very credential and changes with it, for what is to be bound to it; no secret is in it.
   * `undefined` if there is none.
   */
  readonly binding: string | undefined
  /**
   * Clients that are no browsers come with such credentials too: where none of `Sec-Fetch-Site`, `Origin` and `User-Agent` says that a
   * browser sent the request, none did. Default: whoever has one is taken for a browser.
   */
  readonly machines?: true
}

/**
 * Set where the caller was proven by a credential that browsers or TLS send unasked, a cookie or a client certificate: any
 * page on the web could have caused the request. `undefined` where it was not.
 */
export const ambientProof = slot<AmbientProof | undefined>('ambient-proof')

/** Why pages of other sites can act by what a stage knows callers by; `undefined` if they cannot. */
export function unaskedBy({
  unasked,
  ambient,
}: Pick<Stage, 'unasked'> & { ambient?: unknown }): string | undefined {
  return unasked ?? (ambient === true ? 'browsers send its credential unasked' : undefined)
}
