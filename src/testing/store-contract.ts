import assert from 'node:assert/strict'
import type { Store } from '../kernel/ports.js'
import type { ContractRunner, ContractStore, Register } from './contract-parts.js'
import { counterContract } from './counter-contract.js'
import { onceContract } from './once-contract.js'
import { recordContract } from './record-contract.js'

export type { ContractRunner, ContractStore } from './contract-parts.js'

export interface ContractOptions extends Partial<ContractRunner> {
  /** The ports that the store offers. Default: all, `['counters', 'records', 'once']`. */
  readonly ports?: readonly (keyof Store)[]
}

const CONTRACTS = { counters: counterContract, records: recordContract, once: onceContract }

/**
 * What every store must do, as tests. Run it against a store of your own: it needs nothing but `describe` and `it`.
 *
 * @param makeStore called for each test; every store made by it may share one backend, because all keys are new
 * @example
 * storeContract('my store', () => ({ ...myStore(), now: Date.now, pass: waitFor }), { ports: ['counters'] })
 */
export function storeContract(
  name: string,
  makeStore: () => ContractStore | Promise<ContractStore>,
  options: ContractOptions = {},
): void {
  const { ports = ['counters', 'records', 'once'], ...own } = options
  const runner = { ...(globalThis as unknown as ContractRunner), ...own }

  for (const port of ports) {
    const test: Register<ContractStore> = (title, body) =>
      runner.it(title, async () => {
        const store = await makeStore()
        try {
          assert.ok(store[port], `the store has no ${port}`)
          await body(store)
        } finally {
          await store.close?.()
        }
      })
    runner.describe(`${name}, ${port}`, () => CONTRACTS[port](test as Register<never>, runner))
  }
}
