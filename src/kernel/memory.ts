import { SipHash } from '../lib/sip-hash.js'
import { algorithms } from './algorithms.js'
import { checkClock } from './check-clock.js'
import { integer, knownKeys } from './check.js'
import { ClientTable } from './client-table.js'
import { MemoryOnce, MemoryRecords } from './memory-records.js'
import type { Clock, CounterStore, Hit, HitResult, Policy, Ports } from './ports.js'
import { systemClock } from './system-clock.js'

export interface MemoryOptions {
  /**
   * Clients that each limit counts one by one. Default 1,000,000, at up to 80 bytes each. When so many are being counted
   * at once, further ones share 1,024 counters among them, chosen by a keyed hash; nobody who is counted is forgotten.
   */
  maxClients?: number
  /**
   * Records of each kind, such as sessions, and of each kind of what happens once. Default 250,000, at some hundred bytes each.
   * Whoever needs room for one more is answered 503 `store-unavailable`; nothing that is still good is forgotten.
   */
  maxRecords?: number
  /** The clock by which records end. Default: the system's. */
  clock?: Clock
}

/**
 * Stores in the memory of this process, which is also what is used without a store. Each process counts for itself, and
 * what it keeps ends with it.
 *
 * @example
 * secureApi({ auth, store: memory({ maxClients: 50_000 }) })
 */
export function memory(options: MemoryOptions = {}): Ports {
  knownKeys('memory', options, ['maxClients', 'maxRecords', 'clock'])
  const { maxClients = 1_000_000, maxRecords = 250_000, clock = systemClock } = options
  checkClock('memory.clock', clock)
  integer('memory.maxClients', maxClients, { max: 100_000_000 })
  integer('memory.maxRecords', maxRecords, { max: 10_000_000 })
  return {
    counters: new MemoryCounters(maxClients),
    records: new MemoryRecords(clock, maxRecords),
    once: new MemoryOnce(clock, maxRecords),
  }
}

/** Counters in this process: bounded, without timers, and answering at once. */
export class MemoryCounters implements CounterStore {
  private readonly tables = new WeakMap<Policy, ClientTable>()
  private readonly hash = new SipHash()

  constructor(private readonly maxClients = 1_000_000) {}

  hit(hits: readonly Hit[], now: number): readonly HitResult[] {
    const moment = Math.floor(now)
    let hashed: string | undefined
    return hits.map(({ policy, key, cost }) => {
      // Most rows of limits count one client under all their policies.
      if (key !== hashed) this.hash.update((hashed = key))

      const table = this.tableOf(policy)
      table.locate(this.hash, moment)
      const result = algorithms[policy.algorithm].take(table.words, table.at, policy, cost, moment)
      return table.shared ? { ...result, overflow: true } : result
    })
  }

  private tableOf(policy: Policy): ClientTable {
    let table = this.tables.get(policy)
    if (table === undefined) {
      const { words, spans } = algorithms[policy.algorithm]
      table = new ClientTable(words, spans * policy.windowMs, this.maxClients)
      this.tables.set(policy, table)
    }
    return table
  }
}
