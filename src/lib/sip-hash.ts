import { randomBytes } from 'node:crypto'

/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012) of a string's UTF-16LE bytes, in 32-bit halves. Without the key nobody can
 * choose strings that collide, which is what a table of client-chosen strings needs. One instance reuses its result.
 */
export class SipHash {
  /** The two halves of the last digest, as signed 32-bit integers. */
  high = 0
  low = 0

  private readonly k0: number
  private readonly k1: number
  private readonly k2: number
  private readonly k3: number

  /** @param key 16 bytes. Default: random. */
  constructor(key: Uint8Array = randomBytes(16)) {
    const view = new DataView(key.buffer, key.byteOffset, 16)
    this.k0 = view.getInt32(0, true)
    this.k1 = view.getInt32(4, true)
    this.k2 = view.getInt32(8, true)
    this.k3 = view.getInt32(12, true)
  }

  /** Computes the digest of `text` into `high` and `low`. */
  update(text: string): void {
    const { length } = text
    // Each 64-bit word of the state is a pair: low half (a0), high half (a1). "somepseudorandomlygeneratedbytes".
    let a0 = this.k0 ^ 0x70736575
    let a1 = this.k1 ^ 0x736f6d65
    let b0 = this.k2 ^ 0x6e646f6d
    let b1 = this.k3 ^ 0x646f7261
    let c0 = this.k0 ^ 0x6e657261
    let c1 = this.k1 ^ 0x6c796765
    let d0 = this.k2 ^ 0x79746573
    let d1 = this.k3 ^ 0x74656462

    const blocks = length >>> 2
    // Two rounds for each block of four code units and for the last block, then four to finish.
    for (let block = 0; block <= blocks + 1; block++) {
      let m0 = 0
      let m1 = 0
      let rounds = 2
      const i = block << 2
      if (block < blocks) {
        m0 = text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16)
        m1 = text.charCodeAt(i + 2) | (text.charCodeAt(i + 3) << 16)
      } else if (block === blocks) {
        m1 = (length << 1) << 24
        if (i < length) m0 = text.charCodeAt(i)
        if (i + 1 < length) m0 |= text.charCodeAt(i + 1) << 16
        if (i + 2 < length) m1 |= text.charCodeAt(i + 2)
      } else {
        c0 ^= 0xff
        rounds = 4
      }
      d0 ^= m0
      d1 ^= m1

      for (; rounds > 0; rounds--) {
        let low = (a0 + b0) | 0
        a1 = (a1 + b1 + (low >>> 0 < b0 >>> 0 ? 1 : 0)) | 0
        a0 = low
        low = (c0 + d0) | 0
        c1 = (c1 + d1 + (low >>> 0 < d0 >>> 0 ? 1 : 0)) | 0
        c0 = low

        low = (b0 << 13) | (b1 >>> 19)
        b1 = ((b1 << 13) | (b0 >>> 19)) ^ a1
        b0 = low ^ a0
        low = (d0 << 16) | (d1 >>> 16)
        d1 = ((d1 << 16) | (d0 >>> 16)) ^ c1
        d0 = low ^ c0
        low = a0
        a0 = a1
        a1 = low

        low = (c0 + b0) | 0
        c1 = (c1 + b1 + (low >>> 0 < b0 >>> 0 ? 1 : 0)) | 0
        c0 = low
        low = (a0 + d0) | 0
        a1 = (a1 + d1 + (low >>> 0 < d0 >>> 0 ? 1 : 0)) | 0
        a0 = low

        low = (b0 << 17) | (b1 >>> 15)
        b1 = ((b1 << 17) | (b0 >>> 15)) ^ c1
        b0 = low ^ c0
        low = (d0 << 21) | (d1 >>> 11)
        d1 = ((d1 << 21) | (d0 >>> 11)) ^ a1
        d0 = low ^ a0
        low = c0
        c0 = c1
        c1 = low
      }
      a0 ^= m0
      a1 ^= m1
    }

    this.low = a0 ^ b0 ^ c0 ^ d0
    this.high = a1 ^ b1 ^ c1 ^ d1
  }
}
