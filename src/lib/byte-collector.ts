/**
 * Joins chunks by copying them, if there are several. Keeping the chunks themselves would let a body of one-byte chunks hold hundreds
 * of bytes for each byte it brings, and reserving what `Content-Length` promises would let a promise cost memory.
 */
export class ByteCollector {
  /** What was kept, and room for more. The first chunk itself, if it is all of its memory, until there is a second. */
  private bytes: Buffer = NOTHING
  private used = 0

  /** @param max how many bytes may be kept */
  constructor(private readonly max: number) {}

  get length(): number {
    return this.used
  }

  /** Keeps `chunk`; `false`, and nothing kept, if that would be too much. */
  add(chunk: Buffer): boolean {
    const needed = this.used + chunk.length
    if (needed > this.max) return false
    if (this.used === 0 && chunk.buffer.byteLength === chunk.length) {
      this.bytes = chunk
      this.used = needed
      return true
    }
    if (needed > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, this.bytes.length * 2, 1024), this.max))
      this.bytes.copy(grown, 0, 0, this.used)
      this.bytes = grown
    }
    chunk.copy(this.bytes, this.used)
    this.used = needed
    return true
  }

  /** What was kept. Shares memory with the collector, which is done after this, and with a chunk that came alone. */
  take(): Buffer {
    return this.bytes.subarray(0, this.used)
  }
}

const NOTHING = Buffer.allocUnsafeSlow(0)
