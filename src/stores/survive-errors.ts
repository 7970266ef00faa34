/** What tells of errors, as far as it is used here. */
interface Emitter {
  on?(event: 'error', listener: () => void): unknown
  listeners?(event: 'error'): readonly unknown[]
}

/** An `error` event that nobody listens to ends the process; an outage is noticed here by calls that fail. One listener is enough. */
export function surviveErrors(emitter: Emitter): void {
  if (emitter.listeners?.('error').includes(ignore) !== true) emitter.on?.('error', ignore)
}

const ignore = (): void => undefined
