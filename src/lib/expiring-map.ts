interface Entry<V> {
  readonly value: V
  readonly expiresAt: number
}

/** Entries looked at for each one that comes, so that what has expired goes faster than what is new arrives. */
const LOOK_AT = 8

/**
 * A map with a bound, whose entries end by themselves. It needs no timer, and no call takes long: each new entry has a
 * few old ones looked at. Nothing that is still good is ever dropped; when it is full of that, it says so.
 */
export class ExpiringMap<V> {
  private readonly entries = new Map<string, Entry<V>>()
  private hand = this.entries.entries()

  /** @param limit most entries held at any time */
  constructor(private readonly limit: number) {}

  get size(): number {
    return this.entries.size
  }

  get(key: string, now: number): V | undefined {
    const entry = this.entries.get(key)
    return entry !== undefined && entry.expiresAt > now ? entry.value : undefined
  }

  /** Whether there was room. An entry that is there already always has room. */
  set(key: string, value: V, expiresAt: number, now: number): boolean {
    if (!this.entries.has(key)) {
      this.dropExpired(now)
      if (this.entries.size >= this.limit) return false
    }
    this.entries.set(key, { value, expiresAt })
    return true
  }

  /** Whether there was one. */
  delete(key: string, now: number): boolean {
    const found = this.get(key, now) !== undefined
    this.entries.delete(key)
    return found
  }

  *values(now: number): Generator<V> {
    for (const { value, expiresAt } of this.entries.values()) if (expiresAt > now) yield value
  }

  private dropExpired(now: number): void {
    for (let looked = 0; looked < LOOK_AT; looked++) {
      const next = this.hand.next()
      if (next.done === true) {
        this.hand = this.entries.entries()
        return
      }
      const [key, { expiresAt }] = next.value
      if (expiresAt <= now) this.entries.delete(key)
    }
  }
}
