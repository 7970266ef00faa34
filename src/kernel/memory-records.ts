import { ExpiringMap } from '../lib/expiring-map.js'
import type { Clock, Later, OnceStore, RecordPage, RecordStore } from './ports.js'
import { StoreUnavailable } from './store-unavailable.js'

/** Records in this process: each space has a bound of its own, so that none can crowd out another. Answers at once, unless it is full. */
export class MemoryRecords implements RecordStore {
  readonly #itself = true
  private readonly spaces: Spaces<string>

  constructor(
    private readonly clock: Clock,
    maxRecords: number,
  ) {
    this.spaces = new Spaces(maxRecords)
  }

  /** Whether it is one, and not what somebody put around one or made after it, which may fail and hang as any other. */
  static isItself(records: RecordStore): boolean {
    return #itself in records
  }

  get(space: string, key: string): string | undefined {
    return this.spaces.of(space).get(key, this.clock.monotonic())
  }

  getMany(space: string, keys: readonly string[]): (string | undefined)[] {
    return keys.map((key) => this.get(space, key))
  }

  put(space: string, key: string, value: string, ttlMs = Infinity): Later<void> {
    return this.set(space, key, value, ttlMs) ? undefined : Promise.reject(full(space))
  }

  replace(
    space: string,
    key: string,
    expected: string | undefined,
    value: string,
    ttlMs = Infinity,
  ): Later<boolean> {
    if (this.get(space, key) !== expected) return false
    return this.set(space, key, value, ttlMs) || Promise.reject(full(space))
  }

  delete(space: string, key: string): boolean {
    return this.spaces.of(space).delete(key, this.clock.monotonic())
  }

  list(space: string): RecordPage {
    return { values: [...this.spaces.of(space).values(this.clock.monotonic())] }
  }

  /** Whether there was room. */
  private set(space: string, key: string, value: string, ttlMs: number): boolean {
    const now = this.clock.monotonic()
    return this.spaces.of(space).set(key, value, now + ttlMs, now)
  }
}

/** What happened once, as this process saw it. */
export class MemoryOnce implements OnceStore {
  readonly #itself = true
  private readonly spaces: Spaces<true>

  constructor(
    private readonly clock: Clock,
    maxRecords: number,
  ) {
    this.spaces = new Spaces(maxRecords)
  }

  /** As `MemoryRecords` tells it. */
  static isItself(once: OnceStore): boolean {
    return #itself in once
  }

  claim(space: string, key: string, ttlMs: number): Later<boolean> {
    const now = this.clock.monotonic()
    const claims = this.spaces.of(space)
    if (claims.get(key, now) !== undefined) return false
    // To forget an older claim would let a replay through.
    return claims.set(key, true, now + ttlMs, now) || Promise.reject(full(space))
  }
}

class Spaces<V> {
  private readonly maps = new Map<string, ExpiringMap<V>>()

  constructor(private readonly limit: number) {}

  of(space: string): ExpiringMap<V> {
    let map = this.maps.get(space)
    if (map === undefined) this.maps.set(space, (map = new ExpiringMap(this.limit)))
    return map
  }
}

function full(space: string): StoreUnavailable {
  return new StoreUnavailable(`The memory of this process has no room for more of "${space}"`, 0, 1_000)
}
