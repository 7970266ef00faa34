import { once } from '../lib/once.js'
import { show } from './check.js'
import type { GuardOptions } from './circuit.js'
import { ConfigError } from './config-error.js'
import { guarded, guardedOnce, guardedRecords } from './guarded.js'
import { memory, MemoryCounters } from './memory.js'
import { MemoryOnce, MemoryRecords } from './memory-records.js'
import type { Ports, Store } from './ports.js'
import { systemClock } from './system-clock.js'

/** A method of each port, by which it is known. */
const SIGNS = { counters: 'hit', records: 'replace', once: 'claim' } as const

type Methods = Partial<Record<string, unknown>> | null | undefined

/** @throws ConfigError for what offers no port, or not all of `needed` */
export function checkStore(option: string, store: unknown, ...needed: (keyof Store)[]): Store {
  const given = store as Store | null | undefined
  const offers = (port: keyof Store) => {
    const offered: unknown = given?.[port]
    // A text has a method `replace` too.
    return typeof offered === 'object' && typeof (offered as Methods)?.[SIGNS[port]] === 'function'
  }
  const ports = Object.keys(SIGNS) as (keyof Store)[]
  if (!ports.some(offers) || ports.some((port) => given?.[port] !== undefined && !offers(port))) {
    throw new ConfigError(`${option} must be made by redis(client), memory() or the like, got ${show(store)}`)
  }
  const missing = needed.find((port) => !offers(port))
  if (missing === undefined) return given!
  throw new ConfigError(`${option} has no ${missing}, which is needed here; redis(client) and memory() have`)
}

/**
 * A limit is one limit wherever it is mounted, behind one API or several, and has its counts by its identity. Only moments
 * of one clock can be compared.
 */
const processCounters = once(() => new MemoryCounters())

/**
 * Gives the ports of a store, each behind a deadline and a breaker; what it does not offer is in this process, where nothing hangs
 * and nothing is ever away.
 */
export function portsBehindGuards(options: GuardOptions): (store: Store) => Ports {
  const { clock } = options
  const inMemory = { ...memory({ clock }), ...(clock === systemClock && { counters: processCounters() }) }
  const known = new WeakMap<Store, Ports>()
  return (store) => {
    let ports = known.get(store)
    if (ports === undefined) {
      const { counters, records = inMemory.records, once = inMemory.once } = store
      ports = {
        counters: counters === undefined ? inMemory.counters : guarded(counters, options),
        records: MemoryRecords.isItself(records) ? records : guardedRecords(records, options),
        once: MemoryOnce.isItself(once) ? once : guardedOnce(once, options),
      }
      known.set(store, ports)
    }
    return ports
  }
}
