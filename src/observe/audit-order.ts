import type { ChainLine, Link } from './audit-chain.js'
import { parseCheckpoint } from './audit-checkpoint.js'
import type { Place, ProblemList } from './audit-problem.js'

/** A line as it was found: `chain` if it has the shape of ours, `intact` if its hash is that of its bytes. */
export interface FoundLine extends Place {
  readonly chain: ChainLine | undefined
  readonly intact: boolean
}

type Intact = Place & { readonly chain: ChainLine }

interface Gap {
  readonly from: number
  readonly to: number
  readonly place: Place
  missing: number
}

/** Lines that fit nowhere yet, before a verdict on them is forced; and strays and gaps that wait for one another. */
const WAITING_MAX = 1_000
/** How far back a forged branch of the chain is recognised as one. */
const RECENT_MAX = 16

/**
 * Follows the chain and names what breaks it. A line that does not follow becomes a suspect until a later line shows
 * where the chain goes on; then numbers and places tell changed, removed and inserted lines apart. Lines that are ours but
 * out of place are held against the gaps at the end: what is missing here and stands there was moved.
 */
export class ChainOrder {
  /** Number of the first line, in the whole trail. */
  first: number | undefined
  private recent: (Link & Place)[] = []
  private suspects: FoundLine[] = []
  private readonly strays: Intact[] = []
  private readonly gaps: Gap[] = []

  /** @param accepted called for every line that is part of the chain, in order */
  constructor(
    private readonly problems: ProblemList,
    private readonly accepted: (line: ChainLine, place: Place) => void,
  ) {}

  /** The last line that is part of the chain. */
  get last(): (Link & Place) | undefined {
    return this.recent.at(-1)
  }

  add(found: FoundLine): void {
    if (!isIntact(found)) return this.suspect(found)
    const last = this.last ?? this.begin(found)
    const { chain } = found
    if (follows(chain, last)) return this.goOn(found)

    const before = this.suspects.at(-1)
    if (before !== undefined && isIntact(before) && follows(chain, before.chain)) {
      if (before.chain.seq > last.seq || this.leaveBranch(before.chain)) {
        this.suspects.pop()
        this.goOn(before)
        return this.goOn(found)
      }
    }
    // In its place by number, though not by hash: what stands before it was changed, or is another line.
    if (this.suspects.length > 0 && chain.seq === last.seq + 1 + this.suspects.length) return this.goOn(found)
    this.suspect(found)
  }

  /** No more lines: gives the verdicts that waited for more. */
  end(): void {
    const last = this.last
    const furthest = this.suspects.findLast((one) => isIntact(one) && one.chain.seq > (last?.seq ?? 0))
    if (furthest !== undefined && isIntact(furthest)) {
      const behind = this.suspects.splice(this.suspects.indexOf(furthest))
      this.goOn(furthest)
      this.suspects = behind.slice(1)
    }
    this.judge(this.suspects.length, undefined)
    this.match()
  }

  /**
   * The first line that is ours says where the trail is entered: at its beginning, or where a rotated file begins, if no file
   * before it was given. Whatever else begins late, such as a file that was emptied, lacks what stood before.
   */
  private begin({ chain, file, line }: Intact): Link & Place {
    const why = parseCheckpoint(chain)?.why
    const opens = chain.seq === 1 ? why !== undefined : why === 'rotation' && file === 0
    const reopens = why === 'rotation' || why === 'truncation'
    // Damaged lines in front may be those that the file began with.
    const damaged = reopens ? 0 : this.suspects.length
    const before = opens ? chain.seq - 1 : damaged > 0 ? chain.seq - 1 - damaged : 0
    const start = { seq: Math.max(0, before), hash: opens ? chain.prev : '', file, line }
    this.first = start.seq + 1
    this.recent = [start]
    return start
  }

  private suspect(found: FoundLine): void {
    this.suspects.push(found)
    if (this.suspects.length >= WAITING_MAX) this.judge(0, undefined)
  }

  private goOn(found: Intact): void {
    const { chain, file, line } = found
    const missing = chain.seq - this.last!.seq - 1
    if (missing > 0 || this.suspects.length > 0) this.judge(missing, found)
    else this.checkLink(chain)
    this.accept({ chain, file, line })
  }

  /** Nothing is missing and nothing stands between, yet the hash differs: the line before is another one than was written. */
  private checkLink(chain: ChainLine): void {
    if (!follows(chain, this.last!))
      this.problems.add('changed', this.last!, 'The next line does not follow from it.')
  }

  private accept({ chain, file, line }: Intact): void {
    this.recent.push({ seq: chain.seq, hash: chain.hash, file, line })
    if (this.recent.length > RECENT_MAX) this.recent.shift()
    this.accepted(chain, { file, line })
  }

  /**
   * Says what the suspects are, of which `missing` lines may be some. `next` is the line behind them; without one, what is
   * missing is not known to be.
   */
  private judge(missing: number, next: Intact | undefined): void {
    const suspects = this.suspects
    this.suspects = []
    let bad: FoundLine[] = []
    for (const one of suspects) {
      const { seq } = this.last ?? { seq: 0 }
      if (isIntact(one) && next !== undefined && one.chain.seq > seq && one.chain.seq < next.chain.seq) {
        if (bad.length === 0 && one.chain.seq === seq + 1) this.checkLink(one.chain)
        this.settle(bad, one.chain.seq - seq - 1, one)
        missing -= one.chain.seq - seq
        bad = []
        this.accept(one)
      } else if (isIntact(one)) {
        if (this.strays.length < WAITING_MAX) this.strays.push(one)
        else this.problems.add('inserted', one, STRAY)
      } else {
        bad.push(one)
      }
    }
    this.settle(bad, missing, next)
  }

  /** Bad lines fill the places of missing ones; those beyond are additions, places beyond are gaps. */
  private settle(bad: readonly FoundLine[], missing: number, next: Place | undefined): void {
    bad.forEach((one, i) => {
      if (i < missing) this.problems.add('changed', one, 'Its bytes do not have the hash that it carries.')
      else this.problems.add('inserted', one, 'It was never part of the chain.')
    })
    const gone = missing - bad.length
    if (gone <= 0 || next === undefined) return
    const from = this.last!.seq + 1
    const gap = { from, to: from + missing - 1, place: next, missing: gone }
    if (this.gaps.length < WAITING_MAX) this.gaps.push(gap)
    else this.problems.add('removed', next, missingLines(gap))
  }

  /** A line that was removed in one place and stands in another was moved. */
  private match(): void {
    const end = this.last?.seq ?? 0
    const placed = new Set<number>()
    for (const stray of this.strays) {
      const { seq } = stray.chain
      const gap = this.gaps.find(({ from, to, missing }) => missing > 0 && from <= seq && seq <= to)
      if (placed.has(seq) || (gap === undefined && seq <= end)) {
        this.problems.add('inserted', stray, STRAY)
        continue
      }
      placed.add(seq)
      if (gap !== undefined) gap.missing--
      this.problems.add('swapped', stray, `It was written as line ${seq} of the trail.`)
    }
    for (const gap of this.gaps) {
      if (gap.missing > 0) this.problems.add('removed', gap.place, missingLines(gap))
    }
  }

  /** The chain goes on from a line before the last ones: those were put in between, with hashes that fit. */
  private leaveBranch(line: ChainLine): boolean {
    const fork = this.recent.findLastIndex((one) => follows(line, one))
    if (fork < 0) return false
    for (const forged of this.recent.slice(fork + 1)) {
      this.problems.add('inserted', forged, 'The chain goes on from a line before it.')
    }
    this.recent.length = fork + 1
    return true
  }
}

const STRAY = 'It is a line of this trail, or of another, that does not belong here.'

function isIntact(found: FoundLine): found is FoundLine & Intact {
  return found.intact
}

function follows({ seq, prev }: ChainLine, link: Link): boolean {
  return seq === link.seq + 1 && prev === link.hash
}

function missingLines({ from, to, missing }: Gap): string {
  return `${missing} of the lines ${from} to ${to} of the trail are missing before it.`
}
