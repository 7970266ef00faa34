import { Turns } from '../lib/turns.js'
import type { Timer } from '../lib/in-time.js'

const MAX_WAITING = 20
const OF_ONE_CLIENT = 4
const WAIT_MS = 5_000

/** Hashing takes memory and a thread: so many at once, a few more wait, and no address takes all places. */
export class HashingTurns {
  private readonly turns: Turns
  private readonly clients = new Map<string, number>()

  constructor(most: number) {
    this.turns = new Turns(most, MAX_WAITING)
  }

  /** What `work` gives; `undefined` if there is no turn for it. */
  async run<T>(timer: Timer, client: string, work: () => Promise<T>): Promise<T | undefined> {
    const own = this.clients.get(client) ?? 0
    if (own >= OF_ONE_CLIENT) return undefined
    this.clients.set(client, own + 1)
    try {
      if (!(await this.turns.take(timer, WAIT_MS))) return undefined
      try {
        return await work()
      } finally {
        this.turns.done()
      }
    } finally {
      const left = this.clients.get(client)! - 1
      if (left === 0) this.clients.delete(client)
      else this.clients.set(client, left)
    }
  }
}
