import type { Services } from '../kernel/services.js'
import type { KeySet } from './key-set.js'
import type { Unavailable } from './unavailable.js'

/** Where the keys of one issuer come from. */
export interface KeySource {
  /** The newest set, at once; `undefined` if there is none yet, or it is too old to be believed. */
  current(services: Services): KeySet | undefined
  /**
   * A set that satisfies `enough`, or the first one that was asked for after this call. Never later than a second.
   * Absent where keys never change.
   */
  newer?(services: Services, enough: (set: KeySet) => boolean): Promise<KeySet | Unavailable>
  /** Asks for newer keys soon, for those who come later. */
  suspect?(services: Services): void
  /** Resolves when there is a set; rejects if there is none to be had. */
  ready?(services: Services): Promise<void>
  close?(): void
}
