import { writeSync } from 'node:fs'
import { systemClock } from '../kernel/system-clock.js'
import { atExit } from '../lib/at-exit.js'

/** How soon a reader that is behind is tried again. */
const RETRY_MS = 20
/** How long the end of the process waits for such a reader. */
const EXIT_MS = 2_000
const STDOUT = 1

/**
 * Whole lines on stdout. `process.stdout` would hold what a slow reader has not taken, without bound, lose it at
 * `process.exit()`, and end the process when the reader is gone. Here it waits where it can be counted, and is written at the end.
 */
export class StdoutLines {
  private readonly waiting: Buffer[] = []
  private stopRetry: (() => void) | undefined

  /** @param onLost called for each line that will never be written, with what the system said */
  constructor(private readonly onLost: (cause: unknown) => unknown) {}

  /** Lines that the reader has not taken yet. */
  get length(): number {
    return this.waiting.length
  }

  write(line: string): void {
    if (this.waiting.push(Buffer.from(line)) === 1) this.flush()
  }

  private flush(): void {
    // What others have left there comes first: a line of ours must not get into one of theirs.
    if (process.stdout.writableLength > 0 || !this.send()) this.retryLater()
  }

  /** Whether nothing waits any more. */
  private send(): boolean {
    const { waiting } = this
    try {
      for (let line = waiting[0]; line !== undefined; line = waiting[0]) {
        const bytes = writeSync(STDOUT, line)
        if (bytes < line.length) waiting[0] = line.subarray(bytes)
        else waiting.shift()
      }
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EAGAIN') return false
      for (let lost = waiting.splice(0).length; lost > 0; lost--) this.onLost(cause)
    }
    return true
  }

  private retryLater(): void {
    if (this.stopRetry !== undefined) return
    const stop = systemClock.after(RETRY_MS, () => {
      this.stopWaiting()
      this.flush()
    })
    const callOff = atExit(this.onExit)
    this.stopRetry = () => {
      stop()
      callOff()
    }
  }

  private stopWaiting(): void {
    this.stopRetry?.()
    this.stopRetry = undefined
  }

  private readonly onExit = (): void => {
    this.stopWaiting()
    const sleeper = new Int32Array(new SharedArrayBuffer(4))
    for (let waited = 0; !this.send() && waited < EXIT_MS; waited += RETRY_MS) {
      Atomics.wait(sleeper, 0, 0, RETRY_MS)
    }
  }
}
