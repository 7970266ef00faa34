import type { Checkpoint } from './audit-checkpoint.js'

/** Lines that nobody vouches for, though nothing speaks against them. */
export interface UnprovenLines {
  /** Number of the first of them in the whole trail. */
  readonly from: number
  /** Number of the last. `from - 1` if none stands there, but some may have stood there. */
  readonly to: number
  /**
   * `earlier-file`: they are in an earlier file, which was not given. `crash`: a process ended behind its last checkpoint
   * without another one. What stands there may have been changed, added or taken away until the next process began, which
   * signed over what it found.
   */
  readonly why: 'earlier-file' | 'crash'
}

/** So many ranges are listed; the last one covers whatever comes behind it. */
const LISTED_MAX = 1_000

/** Collects what signatures do not cover, although they come behind it. */
export class Unproven {
  private readonly crashes: UnprovenLines[] = []
  /** Number of the last line that its own writer confirmed. */
  private confirmed = 0

  /** Called for each checkpoint that is taken for true, in order, with its number and that of the first line. */
  checkpoint({ why, previous }: Checkpoint, seq: number, first: number): void {
    const from = Math.max(this.confirmed + 1, first)
    this.confirmed = seq
    // By place, whatever it says itself: who ends in order confirms all lines.
    if (why === 'start' && (previous === 'cut' || seq > from)) this.add({ from, to: seq - 1, why: 'crash' })
  }

  /** @param first number of the first line that was read */
  list(first: number): readonly UnprovenLines[] {
    if (first <= 1) return this.crashes
    return [{ from: 1, to: first - 1, why: 'earlier-file' }, ...this.crashes]
  }

  private add(range: UnprovenLines): void {
    const last = this.crashes.length < LISTED_MAX ? undefined : this.crashes.pop()
    this.crashes.push(last === undefined ? range : { ...last, to: range.to })
  }
}
