/** Slots of one place, the newest first: enough that hardly one of those that recur shares its place with so many others. */
const WAYS = 4

/**
 * Tells what comes a second time, roughly and in a fixed size: a table of fingerprints of 32 bits that are written over by
 * newer ones. Whoever keeps only what recurs lets nothing that comes once push out what is used.
 */
export class Recurring {
  private readonly fingerprints: Uint32Array
  private readonly mask: number

  /** @param expected how many different things come before one of them recurs; about that many are told */
  constructor(expected: number) {
    const places = 2 ** Math.ceil(Math.log2(Math.max(expected, 2)))
    this.mask = places - 1
    this.fingerprints = new Uint32Array(places * WAYS)
  }

  /** @param digest of a cryptographic hash, one byte in each character (`latin1`), at least eight of them */
  again(digest: string): boolean {
    const { fingerprints } = this
    const at = (word(digest, 0) & this.mask) * WAYS
    const fingerprint = word(digest, 4)
    for (let way = 0; way < WAYS; way++) if (fingerprints[at + way] === fingerprint) return true
    fingerprints.copyWithin(at + 1, at, at + WAYS - 1)
    fingerprints[at] = fingerprint
    return false
  }
}

function word(digest: string, from: number): number {
  return (
    (digest.charCodeAt(from) |
      (digest.charCodeAt(from + 1) << 8) |
      (digest.charCodeAt(from + 2) << 16) |
      (digest.charCodeAt(from + 3) << 24)) >>>
    0
  )
}
