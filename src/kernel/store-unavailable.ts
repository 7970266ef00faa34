import { attempt } from '../lib/attempt.js'

const UNAVAILABLE = Symbol.for('secure-api.store-unavailable')

/** A store did not answer: it failed, it took too long, or it is being left alone after doing so. Never says more to clients. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
  readonly [UNAVAILABLE] = true

  /**
   * @param outage number of the outage; failures that follow one another closely belong to the same one
   * @param retryMs milliseconds after which the store may be asked again, at most
   */
  constructor(
    message: string,
    readonly outage: number,
    readonly retryMs: number,
    cause?: unknown,
  ) {
    super(message, { cause })
  }
}

/** Whether `error` is a `StoreUnavailable`, of this copy of the package or another one. */
export function isStoreUnavailable(error: unknown): error is StoreUnavailable {
  return attempt(() => typeof error === 'object' && error !== null && UNAVAILABLE in error, false)
}
