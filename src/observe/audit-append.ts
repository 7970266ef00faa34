import { constants, type Stats } from 'node:fs'
import type { FileSystem } from './audit-files.js'

/** What happened to the file since the last write: nothing, moved or removed, cut by somebody, or written by somebody. */
export type Disturbance = 'none' | 'moved' | 'shrunk' | 'grown'

/** A file that takes whole lines only, and that notices what others do to it. */
export class AppendFile {
  /** Permission bits of the open file. */
  permissions: number
  private fd: number
  private size: number
  private identity: Stats
  /** Bytes of a broken write stand behind `size`. */
  private torn: boolean
  /** What stands at the end is not ours: our next line must not be glued to it. */
  private unfinished = false

  /**
   * @param keep bytes that are good; what stands behind them is cut off before the first write
   * @throws what the system says if it cannot be opened; `Error` if it is no regular file
   */
  constructor(
    private readonly path: string,
    private readonly mode: number,
    keep: number,
    private readonly files: FileSystem,
  ) {
    const { fd, stats } = this.open()
    this.fd = fd
    this.identity = stats
    this.permissions = stats.mode & 0o777
    this.size = keep
    this.torn = stats.size > keep
  }

  /** Looks at the file as it is now; one that was moved or removed is replaced by a new one. Throws while it cannot be. */
  check(): { disturbance: Disturbance; bytes: number } {
    if (this.torn) this.cut()
    const stats = this.files.statSync(this.path, { throwIfNoEntry: false })
    if (stats?.ino !== this.identity.ino || stats.dev !== this.identity.dev) {
      const { fd, stats: fresh } = this.open()
      this.close()
      this.fd = fd
      this.identity = fresh
      this.size = fresh.size
      this.unfinished = fresh.size > 0
      return { disturbance: 'moved', bytes: fresh.size }
    }
    const bytes = stats.size - this.size
    this.size = stats.size
    this.unfinished ||= bytes > 0
    return { disturbance: bytes === 0 ? 'none' : bytes > 0 ? 'grown' : 'shrunk', bytes: Math.abs(bytes) }
  }

  /**
   * Appends `text`, which is ASCII and ends with a line end. Says how much of it stays: all, or the whole lines among
   * what was written before the failure.
   */
  append(text: string): { bytes: number; failure?: Error } {
    if (this.unfinished) {
      const { failure } = this.write('\n')
      if (failure !== undefined) return { bytes: 0, failure }
      this.unfinished = false
    }
    return this.write(text)
  }

  close(): void {
    try {
      this.files.closeSync(this.fd)
    } catch {
      // Nothing more can be done for this descriptor, and all that was accepted is written.
    }
  }

  private write(text: string): { bytes: number; failure?: Error } {
    let done = 0
    try {
      while (done < text.length) {
        const bytes = this.files.writeSync(this.fd, done === 0 ? text : text.slice(done), null, 'latin1')
        if (bytes === 0) throw new Error('nothing more can be written')
        done += bytes
      }
    } catch (cause) {
      const whole = text.slice(0, done).lastIndexOf('\n') + 1
      this.size += whole
      this.torn = done > whole
      if (this.torn) this.tryToCut()
      return { bytes: whole, failure: cause as Error }
    }
    this.size += text.length
    return { bytes: text.length }
  }

  /** Shortening a file needs no space, so it works where a write just failed; if not, it is done before the next write. */
  private tryToCut(): void {
    try {
      this.cut()
    } catch {
      // Still torn.
    }
  }

  private cut(): void {
    try {
      this.files.ftruncateSync(this.fd, this.size)
    } catch (cause) {
      // A file that may only grow (`chattr +a`) keeps the torn line; verification names it.
      if ((cause as NodeJS.ErrnoException).code !== 'EPERM') throw cause
      this.size = this.files.fstatSync(this.fd).size
      this.unfinished = true
    }
    this.torn = false
  }

  private open(): { fd: number; stats: Stats } {
    const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW, O_NONBLOCK } = constants
    // No link to elsewhere, and no waiting for the reader of a pipe. Where the system lacks a flag, it counts as 0.
    const flags = O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK
    const fd = this.files.openSync(this.path, flags, this.mode)
    const stats = this.files.fstatSync(fd)
    if (stats.isFile()) return { fd, stats }
    this.files.closeSync(fd)
    throw new Error('not a regular file')
  }
}
