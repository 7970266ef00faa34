import type { RecordStore } from '../kernel/ports.js'

/** How failures slow down whoever guesses: so many are free, then each one doubles the wait. */
export interface Pace {
  readonly free: number
  readonly firstMs: number
  readonly mostMs: number
}

interface Count {
  readonly failures: number
  /** Before this moment nobody may try again, in milliseconds since 1970. */
  readonly readyAt: number
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

const NOTHING: Count = { failures: 0, readyAt: 0 }
/** Others write about one subject too, but not for long. */
const TRIES = 20
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
   * Takes one attempt, before it is judged, so that many at once count as many.
   *
   * @returns how long to wait before one may be taken, in milliseconds; 0 if it was
   */
  async take(records: RecordStore, subject: string, client: string, now: number): Promise<number> {
    const { each, all } = this.rules
    const wait = waitOf(read(await records.get(this.everywhere, subject)), all, now)
    if (wait > 0 && (await records.get(this.known, pairOf(subject, client))) === undefined) return wait
    return this.count(records, this.one, pairOf(subject, client), each, now)
  }

  /** It was a good one. */
  async succeeded(records: RecordStore, subject: string, client: string): Promise<void> {
    const pair = pairOf(subject, client)
    await records.delete(this.one, pair)
    await records.put(this.known, pair, '1', KNOWN_MS)
  }

  async failed(records: RecordStore, subject: string, client: string, now: number): Promise<void> {
    // What comes from an own address was counted there.
    if ((await records.get(this.known, pairOf(subject, client))) !== undefined) return
    await this.count(records, this.everywhere, subject, this.rules.all, now)
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
      const wait = waitOf(count, pace, now)
      if (wait > 0) return wait
      const failures = count.failures + 1
      const next = `${failures} ${now + delayOf(failures, pace)}`
      if (await records.replace(space, key, text, next, this.rules.forgetMs)) return 0
    }
    return pace.firstMs
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

/** A clock that was set back makes nobody wait for longer than the longest wait. */
function waitOf({ readyAt }: Count, { mostMs }: Pace, now: number): number {
  return Math.min(Math.max(readyAt - now, 0), mostMs)
}

function delayOf(failures: number, { free, firstMs, mostMs }: Pace): number {
  return failures < free ? 0 : Math.min(firstMs * 2 ** (failures - free), mostMs)
}

/** What cannot be read was not written here, and keeps nobody out. */
function read(text: string | undefined): Count {
  if (text === undefined) return NOTHING
  const [failures = NaN, readyAt = NaN] = text.split(' ').map(Number)
  return Number.isFinite(failures) && Number.isFinite(readyAt) ? { failures, readyAt } : NOTHING
}

/** No text can be read as another pair. */
function pairOf(subject: string, client: string): string {
  return JSON.stringify([subject, client])
}
