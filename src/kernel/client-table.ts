import type { SipHash } from '../lib/sip-hash.js'

/** A bucket is rebuilt in one go, so its size bounds the longest pause: some tenths of a millisecond. */
const MAX_SLOTS = 4096
const MIN_SLOTS = 64
const FULL = 0.8
/** A rebuilt bucket has room to spare, so that rebuilding stays rare. */
const ROOMY = 0.6
const OVERFLOW_COUNTERS = 1024
/** Slots looked at for one that has expired, when the table is full and a new client comes. */
const LOOK_AT = 64

/** Slots in one buffer, seen as 64-bit numbers and as 32-bit halves. */
interface Bucket {
  depth: number
  used: number
  mask: number
  words: Float64Array
  halves: Int32Array
}

/**
 * Counters of up to `maxClients` clients in typed arrays: open addressing inside buckets, extendible hashing above them.
 * A full bucket splits alone, so growth never stops the process for long, and nothing needs a timer: what has expired is
 * dropped when its bucket is rebuilt, or when room is needed. A counter that still counts is never dropped.
 *
 * A slot is `[hash, expiry, ...rest]`. A client is known by 64 bits of keyed hash: among a million, any two are taken for
 * one with a probability of 3 in 10^8, and nobody without the key can bring that about.
 */
export class ClientTable {
  /** After `locate`: where the counter is, its expiry first. */
  words: Float64Array
  at = 0
  /** After `locate`: the counter is shared, because the table is full of live ones. */
  shared = false

  private directory: Bucket[]
  private depth = 0
  private size = 0
  private overflow: Float64Array | undefined = undefined
  private handBucket = 0
  private handSlot = 0

  /**
   * @param counterWords 64-bit words of a counter, the expiry included
   * @param maxSpanMs how far ahead an expiry can lie, unless the clock was set back
   */
  constructor(
    private readonly counterWords: number,
    private readonly maxSpanMs: number,
    private readonly maxClients: number,
  ) {
    const bucket = this.newBucket(0, MIN_SLOTS)
    this.directory = [bucket]
    this.words = bucket.words
  }

  /** Counters held, expired ones that nobody missed yet included. */
  get clients(): number {
    return this.size
  }

  /** Memory that the counters take. */
  get bytes(): number {
    let total = this.overflow?.byteLength ?? 0
    for (const bucket of new Set(this.directory)) total += bucket.words.byteLength
    return total
  }

  /** Finds the counter of the client that `hash` was last updated with; a new one is all zeros. */
  locate({ high, low }: SipHash, now: number): void {
    // All zeros marks an empty slot.
    if ((high | low) === 0) low = 1
    this.shared = false

    const bucket = this.directory[this.indexOf(high)]!
    const slot = this.probe(bucket, high, low)
    this.words = bucket.words
    this.at = slot * this.slotWords + 1
    if (bucket.halves[slot * this.slotWords * 2] !== 0 || bucket.halves[slot * this.slotWords * 2 + 1] !== 0)
      return

    if (this.size >= this.maxClients && !this.dropExpired(now)) return this.share(low)
    this.insert(high, low, now)
  }

  private get slotWords(): number {
    return this.counterWords + 1
  }

  private indexOf(high: number): number {
    return this.depth === 0 ? 0 : high >>> (32 - this.depth)
  }

  /** The slot of this hash, or the empty one where it would go. */
  private probe({ halves, mask }: Bucket, high: number, low: number): number {
    const stride = this.slotWords * 2
    let slot = low & mask
    for (;;) {
      const h = halves[slot * stride]!
      const l = halves[slot * stride + 1]!
      if ((h === high && l === low) || (h | l) === 0) return slot
      slot = (slot + 1) & mask
    }
  }

  private insert(high: number, low: number, now: number): void {
    let bucket = this.directory[this.indexOf(high)]!
    if (bucket.used + 1 > (bucket.mask + 1) * FULL) {
      this.rebuild(high, now)
      bucket = this.directory[this.indexOf(high)]!
    }
    this.words = bucket.words
    this.at = this.occupy(bucket, high, low) + 1
  }

  private occupy(bucket: Bucket, high: number, low: number): number {
    const at = this.probe(bucket, high, low) * this.slotWords
    bucket.halves[at * 2] = high
    bucket.halves[at * 2 + 1] = low
    bucket.used++
    this.size++
    return at
  }

  /** Drops what has expired, then resizes the bucket or, if too many are alive, splits it by one more bit of the hash. */
  private rebuild(high: number, now: number): void {
    const full = this.directory[this.indexOf(high)]!
    const live = this.countLive(full, now)
    let slots = MIN_SLOTS
    while (live + 1 > slots * ROOMY) slots *= 2

    this.size -= full.used
    if (slots <= MAX_SLOTS) {
      const roomy = this.newBucket(full.depth, slots)
      this.moveLive(full, now, () => roomy)
      Object.assign(full, roomy)
      return
    }

    if (full.depth === this.depth) {
      this.directory = this.directory.flatMap((bucket) => [bucket, bucket])
      this.depth++
    }
    const zero = this.newBucket(full.depth + 1, MAX_SLOTS)
    const one = this.newBucket(full.depth + 1, MAX_SLOTS)
    const shift = 31 - full.depth
    this.moveLive(full, now, (hash) => ((hash >>> shift) & 1 ? one : zero))

    const span = 1 << (this.depth - full.depth)
    const first = this.indexOf(high) & ~(span - 1)
    this.directory.fill(zero, first, first + span / 2)
    this.directory.fill(one, first + span / 2, first + span)
  }

  private countLive({ mask, halves, words }: Bucket, now: number): number {
    let live = 0
    for (let slot = 0; slot <= mask; slot++) {
      const at = slot * this.slotWords
      if ((halves[at * 2]! | halves[at * 2 + 1]!) !== 0 && words[at + 1]! > now) live++
    }
    return live
  }

  private moveLive(from: Bucket, now: number, to: (high: number) => Bucket): void {
    for (let slot = 0; slot <= from.mask; slot++) {
      const at = slot * this.slotWords
      const high = from.halves[at * 2]!
      const low = from.halves[at * 2 + 1]!
      if ((high | low) === 0 || from.words[at + 1]! <= now) continue

      const bucket = to(high)
      const target = this.occupy(bucket, high, low)
      for (let word = 1; word <= this.counterWords; word++)
        bucket.words[target + word] = from.words[at + word]!
      this.limitExpiry(bucket.words, target + 1, now)
    }
  }

  /** Where the clock was set back, an expiry must not stay out of reach for as long as that. */
  private limitExpiry(words: Float64Array, at: number, now: number): void {
    if (words[at]! - now > this.maxSpanMs) words[at] = now + this.maxSpanMs
  }

  /** Looks at the next few slots for one that has expired, going round the whole table in the end. */
  private dropExpired(now: number): boolean {
    for (let looked = 0; looked < LOOK_AT; looked++) {
      const bucket = this.bucketAtHand()
      const slot = this.handSlot
      const at = slot * this.slotWords
      if ((bucket.halves[at * 2]! | bucket.halves[at * 2 + 1]!) !== 0) {
        if (bucket.words[at + 1]! <= now) {
          this.remove(bucket, slot)
          return true
        }
        this.limitExpiry(bucket.words, at + 1, now)
      }
      this.handSlot++
    }
    return false
  }

  private bucketAtHand(): Bucket {
    const bucket = this.directory[this.handBucket]
    if (bucket !== undefined && this.handSlot <= bucket.mask) return bucket

    // A bucket stands in the directory as often as it could still be split.
    if (bucket !== undefined)
      this.handBucket = (this.handBucket | ((1 << (this.depth - bucket.depth)) - 1)) + 1
    if (this.handBucket >= this.directory.length) this.handBucket = 0
    this.handSlot = 0
    return this.directory[this.handBucket]!
  }

  /** Closes the gap by moving later slots back, so that every probe still meets what it is looking for. */
  private remove(bucket: Bucket, slot: number): void {
    const { halves, words, mask } = bucket
    const size = this.slotWords
    let gap = slot
    for (let next = (slot + 1) & mask; ; next = (next + 1) & mask) {
      const low = halves[next * size * 2 + 1]!
      if ((halves[next * size * 2]! | low) === 0) break
      if (((next - low) & mask) < ((next - gap) & mask)) continue
      words.copyWithin(gap * size, next * size, (next + 1) * size)
      gap = next
    }
    words.fill(0, gap * size, (gap + 1) * size)
    bucket.used--
    this.size--
  }

  private share(low: number): void {
    this.shared = true
    this.words = this.overflow ??= new Float64Array(OVERFLOW_COUNTERS * this.counterWords)
    this.at = (low & (OVERFLOW_COUNTERS - 1)) * this.counterWords
  }

  private newBucket(depth: number, slots: number): Bucket {
    const words = new Float64Array(slots * this.slotWords)
    return { depth, used: 0, mask: slots - 1, words, halves: new Int32Array(words.buffer) }
  }
}
