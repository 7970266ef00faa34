/** Where a line stands. */
export interface Place {
  /** Which file, by its place in the list; 0 for a single one. */
  readonly file: number
  /** Line in that file, from 1. */
  readonly line: number
}

/** One thing that is wrong with a trail. */
export interface AuditProblem extends Place {
  /**
   * `changed`: not the bytes that were written. `removed`: lines are missing before this one. `inserted`: was never written
   * here. `swapped`: was written elsewhere in this trail. `bad-signature`: a checkpoint that is missing or that the key did not
   * sign. `torn`: the file stops within this line. `truncated`: the trail ends here, before the head that was kept elsewhere.
   * `replayed`: this is another trail than that of the head.
   */
  readonly kind:
    'changed' | 'removed' | 'inserted' | 'swapped' | 'bad-signature' | 'torn' | 'truncated' | 'replayed'
  /** One sentence, for people. Never the content of a line. */
  readonly detail: string
}

/** So many problems are listed; more are counted. */
const LISTED_MAX = 1_000

/** Problems in the order in which they were found. */
export class ProblemList {
  readonly listed: AuditProblem[] = []
  unlisted = 0

  add(kind: AuditProblem['kind'], { file, line }: Place, detail: string): void {
    if (this.listed.length < LISTED_MAX) this.listed.push({ kind, file, line, detail })
    else this.unlisted++
  }

  /** By place, as a reader of the file meets them. */
  sorted(): readonly AuditProblem[] {
    return this.listed.toSorted((a, b) => a.file - b.file || a.line - b.line)
  }
}
