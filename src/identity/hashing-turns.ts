import { Turns } from '../lib/turns.js'
import type { Timer } from '../lib/in-time.js'

const MAX_WAITING = 20
const OF_ONE_CLIENT = 4
const WAIT_MS = 5_000

/**
 * Hashing takes memory and a thread: so many at once, a few more wait, and no address takes all places. What one address
 * sends several times at once is one piece of work.
 */
export class HashingTurns<T> {
  private readonly turns: Turns
  private readonly going = new Map<string, Promise<T | undefined>>()
  private readonly clients = new Map<string, number>()

  constructor(most: number) {
    this.turns = new Turns(most, MAX_WAITING)
  }

  /**
   * What `work` gives; `undefined` if there is no turn for it.
   *
   * @param what the work is about: of equal ones that a client asks for at once, all get what the first one gives
   */
  run(timer: Timer, client: string, what: string, work: () => Promise<T>): Promise<T | undefined> {
    const key = JSON.stringify([client, what])
    let going = this.going.get(key)
    if (going === undefined) {
      going = this.begin(timer, client, work).finally(() => this.going.delete(key))
      this.going.set(key, going)
    }
    return going
  }

  private async begin(timer: Timer, client: string, work: () => Promise<T>): Promise<T | undefined> {
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
