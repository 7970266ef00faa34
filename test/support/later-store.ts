import type { Later, OnceStore, RecordStore, Store } from '../../src/kernel/ports.js'

/**
 * A store that answers as one over a network does: what is asked arrives later, and so does the answer, so that others come in
 * between. In whichever order things were asked, they arrive in that order.
 */
export function later<S extends Store>(store: S): { records: RecordStore; once: OnceStore } {
  const { records, once } = store as unknown as { records: RecordStore; once: OnceStore }
  return {
    records: {
      get: (...asked) => answered(() => records.get(...asked)),
      put: (...asked) => answered(() => records.put(...asked)),
      replace: (...asked) => answered(() => records.replace(...asked)),
      delete: (...asked) => answered(() => records.delete(...asked)),
      list: (...asked) => answered(() => records.list(...asked)),
    },
    once: { claim: (...asked) => answered(() => once.claim(...asked)) },
  }
}

async function answered<T>(ask: () => Later<T>): Promise<T> {
  await turn()
  const answer = await ask()
  await turn()
  return answer
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
