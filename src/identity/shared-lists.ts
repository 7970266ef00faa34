import type { Clock, RecordStore } from '../kernel/ports.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'

/** Other processes write to the same list too, but not for long: about a second with all the waits. */
const ATTEMPTS = 20
/** So many times at once, before it waits for a while that nobody else waits for. */
const HASTY = 3
const MAX_WAIT_MS = 100
/** Who waits for one list here; who comes with a new entry then is told to come again. */
const MAX_WAITING = 100

type Entries<T> = readonly T[] | undefined

interface Turns {
  last: Promise<unknown>
  waiting: number
}

/**
 * Lists in a store to which many write: read, changed, and written back only if nobody else did in between. In one process they are
 * changed in turn, so that only processes have to try again.
 */
export class SharedLists {
  /** Of lists that are being changed right now. */
  private readonly turns = new Map<string, Turns>()

  constructor(
    private readonly records: RecordStore,
    private readonly clock: Clock,
    /** How long entries last. */
    private readonly lastingMs: number,
  ) {}

  /** @throws StoreUnavailable where so many wait already that one more would not help */
  refuseCrowd(space: string, key: string): void {
    if ((this.turns.get(`${space} ${key}`)?.waiting ?? 0) >= MAX_WAITING) throw busy()
  }

  /**
   * Whether it was changed: `undefined` leaves it as it is. `changed` may be asked several times. It is kept at least until the last
   * of its entries is over, also where this clock is ahead and says that they are.
   *
   * @throws StoreUnavailable if others change it all the time
   */
  async change<T extends { readonly expiresAt: number }>(
    space: string,
    key: string,
    read: (text: string | undefined) => readonly T[],
    changed: (listed: readonly T[]) => Entries<T> | Promise<Entries<T>>,
  ): Promise<boolean> {
    const { records, clock, lastingMs } = this
    return this.inTurn(`${space} ${key}`, async () => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (attempt >= HASTY) await this.wait(Math.min(2 ** attempt, MAX_WAIT_MS) * Math.random())
        const now = clock.now()
        const text = await records.get(space, key)
        const next = await changed(read(text))
        if (next === undefined) return false
        if (text === undefined && next.length === 0) return true
        const ttl =
          next.length === 0 ? 1 : Math.max(...next.map(({ expiresAt }) => expiresAt - now), lastingMs)
        if (await records.replace(space, key, text, JSON.stringify(next), ttl)) return true
      }
      throw busy()
    })
  }

  private async inTurn<R>(name: string, work: () => Promise<R>): Promise<R> {
    const turns = this.turns.get(name) ?? { last: Promise.resolve(), waiting: 0 }
    this.turns.set(name, turns)
    turns.waiting++
    const mine = turns.last.then(work, work)
    turns.last = mine
    try {
      return await mine
    } finally {
      if (--turns.waiting === 0) this.turns.delete(name)
    }
  }

  private async wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.clock.after(ms, resolve)
    })
  }
}

function busy(): StoreUnavailable {
  return new StoreUnavailable('A list was changed by others all the time', 0, 1_000)
}
