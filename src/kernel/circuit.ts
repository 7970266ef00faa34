import { isThenable } from '../lib/when.js'
import type { Clock, Later, Log } from './ports.js'
import { isStoreUnavailable, StoreUnavailable } from './store-unavailable.js'

export interface GuardOptions {
  readonly clock: Clock
  readonly log: Log
  /** What is asked, in messages. Default `store`. */
  readonly what?: string
  /** How long one answer may take, in milliseconds. Default 40. */
  readonly timeoutMs?: number
  /** Failures in a row after which the store is left alone. Default 3. */
  readonly failures?: number
  /** How long it is left alone before it is tried again, in milliseconds. Default 500. */
  readonly coolDownMs?: number
}

/**
 * How a store that was left alone is tried again. `copy`: a copy of one call tries it behind the scenes, and nobody waits.
 * `own`: one caller waits for its own call, because nobody may be told no for something that then happens after all.
 */
export type Probing = 'copy' | 'own'

/** What a store answered, in the form that is asked for. Throws for anything else: then it has not answered. */
export type Reader<T> = (found: unknown) => T

/**
 * A deadline and a circuit breaker for calls to one port. What hangs never hangs a request; what is down is tried once
 * per cool-down. Every failure comes out as a rejected `StoreUnavailable`.
 */
export class Circuit {
  private readonly what: string
  private readonly timeoutMs: number
  private readonly failures: number
  private readonly coolDownMs: number

  private inARow = 0
  private outage = 0
  private lastFailure = -Infinity
  /** While the circuit is open: what callers get, made once, because a flood of errors with stacks is a cost of its own. */
  private refusal: StoreUnavailable | undefined = undefined
  private probeAt = 0
  private probing = false

  /** @param port what the log calls it */
  constructor(
    private readonly port: string,
    private readonly probes: Probing,
    private readonly options: GuardOptions,
  ) {
    const { what = 'store', timeoutMs = 40, failures = 3, coolDownMs = 500 } = options
    this.what = what
    this.timeoutMs = timeoutMs
    this.failures = failures
    this.coolDownMs = coolDownMs
  }

  ask<T>(call: () => Later<T>, read: Reader<T>): Later<T> {
    const { refusal } = this
    if (refusal === undefined) return this.attempt(call, read, false)
    if (this.probing || this.options.clock.monotonic() < this.probeAt) return Promise.reject(refusal)
    this.probing = true
    const outcome = this.attempt(call, read, true)
    if (this.probes === 'own') return outcome
    // Its outcome is for those who come later: this request is decided without the store, at once.
    Promise.resolve(outcome).catch(() => undefined)
    return Promise.reject(refusal)
  }

  private attempt<T>(call: () => Later<T>, read: Reader<T>, probe: boolean): Later<T> {
    let answer: Later<T>
    let isLater: boolean
    try {
      answer = call()
      isLater = isThenable(answer)
    } catch (cause) {
      return Promise.reject(this.failed(`The ${this.what} threw`, probe, cause))
    }
    if (isLater) return this.inTime(answer, read, probe)
    try {
      return this.accepted(answer, read, probe)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @throws StoreUnavailable for what is no answer */
  private accepted<T>(found: unknown, read: Reader<T>, probe: boolean): T {
    let value: T
    try {
      value = read(found)
    } catch (cause) {
      throw this.failed(`The ${this.what} gave no answer`, probe, cause)
    }
    this.worked(probe)
    return value
  }

  private inTime<T>(answer: Later<T>, read: Reader<T>, probe: boolean) {
    return new Promise<T>((resolve, reject) => {
      let over = false
      const first = (): boolean => !over && (over = true)
      const cancel = this.options.clock.after(this.timeoutMs, () => {
        // A process that was busy itself finds the timer before the answer; what has arrived by now is in time.
        setImmediate(() => {
          if (first()) reject(this.failed(`The ${this.what} took longer than ${this.timeoutMs} ms`, probe))
        })
      })
      // A promise of somebody else's may throw when it is asked.
      Promise.resolve(answer).then(
        (found) => {
          if (!first()) return
          cancel()
          try {
            resolve(this.accepted(found, read, probe))
          } catch (error) {
            reject(error)
          }
        },
        (cause: unknown) => {
          if (!first()) return
          cancel()
          reject(this.failed(`The ${this.what} failed`, probe, cause))
        },
      )
    })
  }

  private worked(probe: boolean): void {
    // An answer to an earlier call, while the circuit is open, proves nothing about the store as it is now.
    if (this.refusal !== undefined && !probe) return
    this.inARow = 0
    if (!probe) return
    this.probing = false
    this.refusal = undefined
    this.options.log.warn(`${this.port}: the ${this.what} answers again`, { outage: this.outage })
  }

  private failed(message: string, probe: boolean, cause?: unknown): StoreUnavailable {
    // A store that says by itself that it cannot do this one thing has answered.
    if (isStoreUnavailable(cause)) {
      this.worked(probe)
      return cause
    }
    const now = this.options.clock.monotonic()
    if (this.refusal === undefined && now - this.lastFailure > this.coolDownMs) this.outage++
    this.lastFailure = now
    this.inARow++

    const error = new StoreUnavailable(message, this.outage, this.coolDownMs, cause)
    if (probe || (this.refusal === undefined && this.inARow >= this.failures)) {
      if (!probe)
        this.options.log.error(`${this.port}: the ${this.what} does not answer and is left alone`, {
          outage: this.outage,
          cause: cause ?? message,
        })
      this.refusal = new StoreUnavailable(`The ${this.what} is left alone`, this.outage, this.coolDownMs)
      this.probeAt = now + this.coolDownMs
      this.probing = false
    }
    return error
  }
}
