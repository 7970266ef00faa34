import { Circuit, type GuardOptions } from './circuit.js'
import { getMany } from './many-records.js'
import { hitResults, nothing, recordPage, textOrNothing, textsOrNothing, yesOrNo } from './store-answers.js'
import type { CounterStore, Hit, HitResult, Later, OnceStore, RecordPage, RecordStore } from './ports.js'

/** Puts a deadline and a circuit breaker around counters that live elsewhere, once, at start. */
export function guarded(store: CounterStore, options: GuardOptions): CounterStore {
  return new GuardedCounters(store, new Circuit('counters', 'copy', options))
}

/** The same for records. */
export function guardedRecords(store: RecordStore, options: GuardOptions): RecordStore {
  return new GuardedRecords(store, new Circuit('records', 'own', options))
}

/** The same for what happens once. */
export function guardedOnce(store: OnceStore, options: GuardOptions): OnceStore {
  return new GuardedOnce(store, new Circuit('once', 'own', options))
}

class GuardedCounters implements CounterStore {
  constructor(
    private readonly store: CounterStore,
    private readonly circuit: Circuit,
  ) {}

  hit(hits: readonly Hit[], now: number): Later<readonly HitResult[]> {
    return this.circuit.ask(
      () => this.store.hit(hits, now),
      (found) => hitResults(found, hits.length),
    )
  }

  async close(): Promise<void> {
    await this.store.close?.()
  }
}

class GuardedRecords implements RecordStore {
  constructor(
    private readonly store: RecordStore,
    private readonly circuit: Circuit,
  ) {}

  get(space: string, key: string): Later<string | undefined> {
    return this.circuit.ask(() => this.store.get(space, key), textOrNothing)
  }

  getMany(space: string, keys: readonly string[]): Later<readonly (string | undefined)[]> {
    return this.circuit.ask(
      () => getMany(this.store, space, keys),
      (found) => textsOrNothing(found, keys.length),
    )
  }

  put(space: string, key: string, value: string, ttlMs?: number): Later<void> {
    return this.circuit.ask(() => this.store.put(space, key, value, ttlMs), nothing)
  }

  replace(
    space: string,
    key: string,
    expected: string | undefined,
    value: string,
    ttlMs?: number,
  ): Later<boolean> {
    return this.circuit.ask(() => this.store.replace(space, key, expected, value, ttlMs), yesOrNo)
  }

  delete(space: string, key: string): Later<boolean> {
    return this.circuit.ask(() => this.store.delete(space, key), yesOrNo)
  }

  list(space: string, cursor?: string): Later<RecordPage> {
    return this.circuit.ask(() => this.store.list(space, cursor), recordPage)
  }

  async close(): Promise<void> {
    await this.store.close?.()
  }
}

class GuardedOnce implements OnceStore {
  constructor(
    private readonly store: OnceStore,
    private readonly circuit: Circuit,
  ) {}

  claim(space: string, key: string, ttlMs: number): Later<boolean> {
    return this.circuit.ask(() => this.store.claim(space, key, ttlMs), yesOrNo)
  }

  async close(): Promise<void> {
    await this.store.close?.()
  }
}
