import type { RecordStore } from '../kernel/ports.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'

/** How failures slow down whoever guesses: so many are free, then each one doubles the wait. */
export interface Pace {
  readonly free: number
  readonly firstMs: number
  readonly mostMs: number
}

interface Count {
  readonly failures: number
  /** When the last attempt was made, in milliseconds since 1970: the wait begins there. */
  readonly at: number
}

/** One attempt that was taken, or the wait that stands before it. */
export interface Attempt {
  /** How long to wait, in milliseconds; 0: judge it. It has failed until it is said to have succeeded. */
  readonly waitMs: number
  /** It was a good one: forgets the failures of its address, and gives back what it took from all addresses. */
  succeeded(): Promise<void>
}

export interface AttemptRules {
  /** Begins the names of the spaces in the store. */
  readonly space: string
  /** For one address that guesses at one subject. */
  readonly each: Pace
  /** For all addresses together that guess at one subject, apart from those it came from before. */
  readonly all: Pace
  /** After so long without a failure, none is remembered. */
  readonly forgetMs: number
}

const NOTHING: Count = { failures: 0, at: 0 }
/** Of those who write at once one succeeds, so that all that are free are taken before anybody has tried so often. */
const TRIES = 200
/** The clocks of processes are no further apart than that; a clock that is wrong is. */
const SKEW_MS = 60_000
/** An address from which a subject proved itself stays its own for so long. */
const KNOWN_MS = 30 * 86_400_000

/**
 * Slows down guesses at a secret, without giving anybody the power to lock others out: who fails waits by subject and
 * address. Failures from everywhere slow down only addresses that the subject never proved itself from, so a botnet delays
 * newcomers at most, and never whoever comes from where it always came from.
 */
export class Attempts {
  constructor(private readonly rules: AttemptRules) {}

  /**
   * Takes one attempt, from its address and from all, before it is judged: of any number that come at once, in all processes
   * together, no more are judged than of those that come one after another.
   */
  async take(records: RecordStore, subject: string, client: string, now: number): Promise<Attempt> {
    const { each, all } = this.rules
    const pair = pairOf(subject, client)
    // What comes from an own address is counted there alone.
    const isKnown = (await records.get(this.known, pair)) !== undefined
    if (!isKnown) {
      const count = read(await records.get(this.everywhere, subject))
      const wait = await this.waitOf(records, this.everywhere, subject, count, all, now)
      if (wait > 0) return refused(wait)
    }
    const wait = await this.count(records, this.one, pair, each, now)
    if (wait > 0) return refused(wait)
    if (!isKnown) {
      // Others may have been faster since it was looked at.
      const late = await this.count(records, this.everywhere, subject, all, now)
      if (late > 0) {
        await this.giveBack(records, this.one, pair)
        return refused(late)
      }
    }
    return {
      waitMs: 0,
      succeeded: async () => {
        await records.delete(this.one, pair)
        await records.put(this.known, pair, '1', KNOWN_MS)
        if (!isKnown) await this.giveBack(records, this.everywhere, subject)
      },
    }
  }

  private async count(
    records: RecordStore,
    space: string,
    key: string,
    pace: Pace,
    now: number,
  ): Promise<number> {
    for (let i = 0; i < TRIES; i++) {
      const text = await records.get(space, key)
      const count = read(text)
      const wait = await this.waitOf(records, space, key, count, pace, now)
      if (wait > 0) return wait
      const failures = count.failures + 1
      if (await records.replace(space, key, text, textOf({ failures, at: now }), this.rules.forgetMs)) {
        const delay = delayOf(failures, pace)
        if (delay > 0) await records.put(waitsIn(space), key, '1', delay)
        return 0
      }
    }
    return pace.firstMs
  }

  /**
   * A wait that begins far in the future was written by a clock that is ahead of ours, or was: then the store, which has a clock of its own,
   * tells whether it is over. A clock that goes back by hours would lock everybody out for hours.
   */
  private async waitOf(
    records: RecordStore,
    space: string,
    key: string,
    count: Count,
    pace: Pace,
    now: number,
  ): Promise<number> {
    const delay = delayOf(count.failures, pace)
    // What is free waits for nothing, also where somebody who came a moment later was faster.
    if (delay === 0) return 0
    if (count.at <= now + SKEW_MS) return Math.max(count.at + delay - now, 0)
    return (await records.get(waitsIn(space), key)) === undefined ? 0 : delay
  }

  private async giveBack(records: RecordStore, space: string, key: string): Promise<void> {
    for (let i = 0; i < TRIES; i++) {
      const text = await records.get(space, key)
      const { failures, at } = read(text)
      if (failures === 0) return
      const left = failures - 1
      // The last one leaves nothing behind.
      const ttl = left === 0 ? 1 : this.rules.forgetMs
      if (await records.replace(space, key, text, textOf({ failures: left, at }), ttl)) return
    }
  }

  private get one(): string {
    return `${this.rules.space}-attempts`
  }

  private get everywhere(): string {
    return `${this.rules.space}-attempts-all`
  }

  private get known(): string {
    return `${this.rules.space}-known`
  }
}

function refused(waitMs: number): Attempt {
  return { waitMs, succeeded: () => Promise.resolve() }
}

function waitsIn(space: string): string {
  return `${space}-wait`
}

function delayOf(failures: number, { free, firstMs, mostMs }: Pace): number {
  return failures < free ? 0 : Math.min(firstMs * 2 ** (failures - free), mostMs)
}

function textOf({ failures, at }: Count): string {
  return `${failures} ${Math.max(Math.floor(at), 0)}`
}

/** @throws StoreUnavailable for what cannot be read: nobody knows how often somebody guessed */
function read(text: string | undefined): Count {
  if (text === undefined) return NOTHING
  const parts = /^([0-9]{1,15}) ([0-9]{1,15})$/.exec(text)
  if (parts === null)
    throw new StoreUnavailable('The store has something else than a count of attempts', 0, 1_000)
  return { failures: Number(parts[1]), at: Number(parts[2]) }
}

/** No text can be read as another pair. */
function pairOf(subject: string, client: string): string {
  return JSON.stringify([subject, client])
}
