import type { Services } from '../kernel/services.js'
import { KeySet } from './key-set.js'
import type { KeySource } from './key-source.js'
import type { Unavailable } from './unavailable.js'
import type { PublishedKeys } from './jwks.js'

/** How old keys become, and what was learned about their place. */
const REFRESH_MS = 600_000
/** From the start of one fetch to the start of the next. */
const COOLDOWN_MS = 1_000
/** A request waits no longer for keys. */
const MAX_WAIT_MS = 1_000
const MAX_WAITING = 100
/** With no keys at all, everyone has to wait, not only those who bring an unknown name. */
const MAX_WAITING_COLD = 1_000
/** One fetch, metadata included, takes no longer. */
const DEADLINE_MS = 5_000
/** So many names of withdrawn keys are remembered. */
const MAX_WITHDRAWN = 100

export interface RemoteKeysOptions {
  readonly issuer: string
  /** How long keys serve after they were fetched, if newer ones cannot be had. */
  readonly maxStaleMs: number
  /** Keys that are older are fetched anew, while they go on serving. Default: ten minutes. */
  readonly refreshMs?: number
  /** Fetches the keys; `rediscover` says that what was learned about their place is old. */
  readonly fetchKeys: (services: Services, signal: AbortSignal, rediscover: boolean) => Promise<PublishedKeys>
}

interface Waiter {
  /** The fetch that was the last when the waiter came. What that one says may be older than the token. */
  readonly after: number
  readonly enough: (set: KeySet) => boolean
  readonly settle: (outcome: KeySet | Unavailable) => void
}

/**
 * The published keys of one issuer. However many requests arrive and whatever they ask for, at most one fetch runs and
 * at most one starts in a second; nobody waits longer than a second, and no more than a hundred wait. A key that the
 * issuer has just published is found by waiting, never refused; a key that is missing from the newest set is gone.
 */
export class RemoteKeys implements KeySource {
  private set: KeySet | undefined
  private fingerprint = ''
  private readonly withdrawn = new Set<string>()
  /** On the monotonic clock: a wall clock that jumps must not make keys older or younger. */
  private fetchedAt = 0
  private startedAt = -Infinity
  private discoveredAt = -Infinity
  private round = 0
  private failing = false
  private running: { readonly abort: AbortController; readonly done: Promise<void> } | undefined
  private cancelNext: (() => void) | undefined
  private readonly waiting = new Set<Waiter>()
  private closed = false

  constructor(private readonly options: RemoteKeysOptions) {}

  current(services: Services): KeySet | undefined {
    const { maxStaleMs, refreshMs = REFRESH_MS } = this.options
    const due = this.age(services) >= Math.min(refreshMs, maxStaleMs / 2)
    if (due && this.set !== undefined) this.startIfCool(services)
    return this.usable(services)
  }

  newer(services: Services, enough: (set: KeySet) => boolean): Promise<KeySet | Unavailable> {
    const { clock } = services
    if (this.closed) return Promise.resolve('keys-unavailable')
    // The last fetch failed within this second: the answer is known.
    if (this.failing && this.running === undefined && this.cooldown(services) > 0) {
      return Promise.resolve('keys-unavailable')
    }
    const room = this.usable(services) === undefined ? MAX_WAITING_COLD : MAX_WAITING
    if (this.waiting.size >= room) return Promise.resolve('keys-crowded')

    return new Promise((resolve) => {
      const giveUp = clock.after(MAX_WAIT_MS, () => waiter.settle('keys-late'))
      const waiter: Waiter = {
        after: this.round,
        enough,
        settle: (outcome) => {
          this.waiting.delete(waiter)
          giveUp()
          resolve(outcome)
        },
      }
      this.waiting.add(waiter)
      this.startWhenCool(services)
    })
  }

  suspect(services: Services): void {
    this.startIfCool(services)
  }

  async ready(services: Services): Promise<void> {
    if (this.current(services) !== undefined) return
    this.startIfCool(services)
    await this.running?.done
    if (this.current(services) === undefined) {
      throw new Error(`bearer: the keys of ${this.options.issuer} cannot be fetched`)
    }
  }

  close(): void {
    this.closed = true
    this.cancelNext?.()
    this.running?.abort.abort(new Error('closed'))
    for (const waiter of this.waiting) waiter.settle('keys-unavailable')
  }

  private age({ clock }: Services): number {
    return clock.monotonic() - this.fetchedAt
  }

  private usable(services: Services): KeySet | undefined {
    return this.age(services) < this.options.maxStaleMs ? this.set : undefined
  }

  private cooldown({ clock }: Services): number {
    return this.startedAt + COOLDOWN_MS - clock.monotonic()
  }

  private startIfCool(services: Services): void {
    if (!this.closed && this.running === undefined && this.cooldown(services) <= 0) this.start(services)
  }

  private startWhenCool(services: Services): void {
    this.startIfCool(services)
    if (this.closed || this.running !== undefined || this.cancelNext !== undefined) return
    this.cancelNext = services.clock.after(this.cooldown(services), () => {
      this.cancelNext = undefined
      // Timers may fire a little early; then there is a little left to wait.
      this.startWhenCool(services)
    })
  }

  private start(services: Services): void {
    const { clock } = services
    this.cancelNext?.()
    this.cancelNext = undefined
    this.round++
    this.startedAt = clock.monotonic()

    const abort = new AbortController()
    const cancelDeadline = clock.after(DEADLINE_MS, () =>
      abort.abort(new Error(`no answer within ${DEADLINE_MS} ms`)),
    )
    const done = this.fetch(services, abort.signal)
      // Only a log that throws ends here, and it must not take the process with it.
      .catch(() => undefined)
      .finally(() => {
        cancelDeadline()
        this.running = undefined
        if (this.waiting.size > 0) this.startWhenCool(services)
      })
    this.running = { abort, done }
  }

  private async fetch(services: Services, signal: AbortSignal): Promise<void> {
    const { startedAt, round } = this
    const rediscover = this.failing || startedAt - this.discoveredAt >= REFRESH_MS
    let published: PublishedKeys
    try {
      published = await this.options.fetchKeys(services, signal, rediscover)
      // An issuer that is starting up has no keys yet, and nothing can be told from that. Later, its keys are withdrawn.
      if (this.set === undefined && published.keys.length === 0)
        throw new Error('the issuer publishes no key that can be used')
    } catch (cause) {
      return this.fail(cause, services)
    }
    if (rediscover) this.discoveredAt = startedAt
    this.succeed(published, startedAt, round, services)
  }

  private succeed(published: PublishedKeys, startedAt: number, round: number, { log }: Services): void {
    const { issuer } = this.options
    const wasFailing = this.failing
    const isNew = this.set === undefined || this.fingerprint !== published.fingerprint
    this.failing = false
    this.fetchedAt = startedAt
    // An unchanged set stays the same object, so that what was verified with it need not be verified again.
    const set = this.set !== undefined && !isNew ? this.set : this.replace(published)
    for (const waiter of this.waiting) {
      if (waiter.after < round || waiter.enough(set)) waiter.settle(set)
    }

    if (wasFailing) log.info('bearer: the keys of the issuer can be fetched again', { issuer })
    if (isNew && published.ignored > 0) {
      log.warn('bearer: some published keys must not or cannot be used', {
        issuer,
        ignored: published.ignored,
      })
    }
  }

  private fail(cause: unknown, { log }: Services): void {
    const wasFailing = this.failing
    this.failing = true
    for (const waiter of this.waiting) waiter.settle('keys-unavailable')
    if (!wasFailing && !this.closed) {
      log.warn('bearer: the keys of the issuer cannot be fetched', { issuer: this.options.issuer, cause })
    }
  }

  private replace({ keys, fingerprint }: PublishedKeys): KeySet {
    for (const { kid } of this.set?.keys ?? []) if (kid !== undefined) this.withdrawn.add(kid)
    for (const { kid } of keys) if (kid !== undefined) this.withdrawn.delete(kid)
    for (const kid of this.withdrawn) {
      if (this.withdrawn.size <= MAX_WITHDRAWN) break
      this.withdrawn.delete(kid)
    }
    this.fingerprint = fingerprint
    return (this.set = new KeySet(keys, new Set(this.withdrawn)))
  }
}
