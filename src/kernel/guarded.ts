import { isThenable } from '../lib/when.js'
import type { Clock, CounterStore, Hit, HitResult, Log } from './ports.js'

export interface GuardOptions {
  readonly clock: Clock
  readonly log: Log
  /** How long one answer may take, in milliseconds. Default 40. */
  readonly timeoutMs?: number
  /** Failures in a row after which the store is left alone. Default 3. */
  readonly failures?: number
  /** How long it is left alone before it is tried again, in milliseconds. Default 500. */
  readonly coolDownMs?: number
}

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
  return typeof error === 'object' && error !== null && UNAVAILABLE in error
}

/**
 * Puts a deadline and a circuit breaker around counters that live elsewhere, once, at start. What hangs never hangs a
 * request; what is down is tried once per cool-down, and no request waits for that. Every failure comes out as a rejected
 * `StoreUnavailable`.
 */
export function guarded(store: CounterStore, options: GuardOptions): CounterStore {
  return new GuardedCounters(store, options)
}

class GuardedCounters implements CounterStore {
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

  constructor(
    private readonly store: CounterStore,
    private readonly options: GuardOptions,
  ) {
    const { timeoutMs = 40, failures = 3, coolDownMs = 500 } = options
    this.timeoutMs = timeoutMs
    this.failures = failures
    this.coolDownMs = coolDownMs
  }

  hit(hits: readonly Hit[], now: number): Answer {
    const { refusal } = this
    if (refusal === undefined) return this.ask(hits, now, false)
    if (!this.probing && this.options.clock.monotonic() >= this.probeAt) {
      this.probing = true
      // Its outcome is for those who come later: this request is decided without the store, at once.
      Promise.resolve(this.ask(hits, now, true)).catch(() => undefined)
    }
    return Promise.reject(refusal)
  }

  private ask(hits: readonly Hit[], now: number, probe: boolean): Answer {
    let answer: Answer
    try {
      answer = this.store.hit(hits, now)
    } catch (cause) {
      return Promise.reject(this.failed('The store threw', probe, cause))
    }
    if (!isThenable(answer)) {
      if (!answers(answer, hits)) return Promise.reject(this.failed('The store gave no answer', probe))
      this.worked(probe)
      return answer
    }
    return this.inTime(answer, hits, probe)
  }

  async close(): Promise<void> {
    await this.store.close?.()
  }

  private inTime(answer: PromiseLike<readonly HitResult[]>, hits: readonly Hit[], probe: boolean) {
    return new Promise<readonly HitResult[]>((resolve, reject) => {
      let over = false
      const first = (): boolean => !over && (over = true)
      const cancel = this.options.clock.after(this.timeoutMs, () => {
        // A process that was busy itself finds the timer before the answer; what has arrived by now is in time.
        setImmediate(() => {
          if (first()) reject(this.failed(`The store took longer than ${this.timeoutMs} ms`, probe))
        })
      })
      answer.then(
        (results) => {
          if (!first()) return
          cancel()
          if (!answers(results, hits)) return reject(this.failed('The store gave no answer', probe))
          this.worked(probe)
          resolve(results)
        },
        (cause: unknown) => {
          if (!first()) return
          cancel()
          reject(this.failed('The store failed', probe, cause))
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
    this.options.log.warn('counters: the store answers again', { outage: this.outage })
  }

  private failed(message: string, probe: boolean, cause?: unknown): StoreUnavailable {
    const now = this.options.clock.monotonic()
    if (this.refusal === undefined && now - this.lastFailure > this.coolDownMs) this.outage++
    this.lastFailure = now
    this.inARow++

    const error = new StoreUnavailable(message, this.outage, this.coolDownMs, cause)
    if (probe || (this.refusal === undefined && this.inARow >= this.failures)) {
      if (!probe)
        this.options.log.error('counters: the store does not answer and is left alone', {
          outage: this.outage,
          cause: cause ?? message,
        })
      this.refusal = new StoreUnavailable('The store is left alone', this.outage, this.coolDownMs)
      this.probeAt = now + this.coolDownMs
      this.probing = false
    }
    return error
  }
}

type Answer = readonly HitResult[] | Promise<readonly HitResult[]>

/** A store that resolves to something else must not let everybody in. */
function answers(results: unknown, hits: readonly Hit[]): results is readonly HitResult[] {
  return Array.isArray(results) && results.length === hits.length
}
