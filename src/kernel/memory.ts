import { SipHash } from '../lib/sip-hash.js'
import { algorithms } from './algorithms.js'
import { integer, knownKeys } from './check.js'
import { ClientTable } from './client-table.js'
import type { CounterStore, Hit, HitResult, Policy, Store } from './ports.js'

export interface MemoryOptions {
  /**
   * Clients that each limit counts one by one. Default 1,000,000, at up to 80 bytes each. When so many are being counted
   * at once, further ones share 1,024 counters among them, chosen by a keyed hash; nobody who is counted is forgotten.
   */
  maxClients?: number
}

/**
 * Stores in the memory of this process, which is also what is used without a store. Each process counts for itself.
 *
 * @example
 * secureApi({ auth, store: memory({ maxClients: 50_000 }) })
 */
export function memory(options: MemoryOptions = {}): Store {
  return { counters: new MemoryCounters(options) }
}

/** Counters in this process: bounded, without timers, and answering at once. */
export class MemoryCounters implements CounterStore {
  private readonly tables = new WeakMap<Policy, ClientTable>()
  private readonly hash = new SipHash()
  private readonly maxClients: number

  constructor(options: MemoryOptions = {}) {
    knownKeys('memory', options, ['maxClients'])
    const { maxClients = 1_000_000 } = options
    this.maxClients = integer('memory.maxClients', maxClients, { max: 100_000_000 })
  }

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
