import { atExit } from '../lib/at-exit.js'
import { isThenable } from '../lib/when.js'
import type { AuditEvent } from '../kernel/ports.js'
import type { AuditHead } from './audit-chain.js'
import type { CheckpointReason } from './audit-checkpoint.js'
import { eventEncoder } from './audit-encode.js'
import type { FileSystem } from './audit-files.js'
import { Health, RETRY_MS, type Sink, type SinkServices } from './audit-sink.js'
import { AuditTrail, type AuditTrailSettings } from './audit-trail.js'

export interface AuditFileSettings extends AuditTrailSettings {
  readonly checkpointMs: number
  readonly maxPending: number
  readonly onCheckpoint?: ((head: AuditHead) => unknown) | undefined
}

/** So many bytes are written without waiting for the end of the turn. */
const BATCH_BYTES = 256 * 1024
/** So many bytes may wait while the file is sick, however few events they are. */
const PENDING_BYTES = 16 * 1024 * 1024
/** What an event of our own is taken to be long, until it is written down. */
const EVENT_BYTES = 1024

/**
 * The file transport: the events of one turn of the event loop go to the trail in one `writeSync` at its end. While the
 * file cannot be written, events wait (bounded) and keep their order; what is lost beyond that is put on record itself
 * when the file is well again.
 */
export class AuditFile implements Sink {
  readonly name = 'file'
  readonly health = new Health('file')
  private readonly trail: AuditTrail
  private readonly encode = eventEncoder()
  private pending: string[] = []
  private pendingBytes = 0
  /** Behind those that are pending, and not text yet: a batch of them takes a fraction of what each would between two replies. */
  private unwritten: AuditEvent[] = []
  private scheduled = false
  private stopTimer: (() => void) | undefined
  private stopRetry: (() => void) | undefined
  private ending = false
  private readonly stayForExit: () => void

  /** @throws ConfigError if another writer holds the file; Error if it cannot be opened, or holds what is not ours */
  constructor(
    private readonly settings: AuditFileSettings,
    files?: FileSystem,
  ) {
    this.trail = new AuditTrail(settings, files)
    this.stayForExit = atExit(() => this.end('exit'))
  }

  /** Permission bits of the file. */
  get permissions(): number {
    return this.trail.permissions
  }

  attach(services: SinkServices): void {
    if (this.health.services !== undefined) return
    this.health.services = services
    this.schedule()
  }

  write(event: AuditEvent, now: boolean, keeps = false): void {
    const { health, pending, unwritten } = this
    if (health.closed) return health.lostLate()
    const waiting = pending.length + unwritten.length
    const bytes = this.pendingBytes + unwritten.length * EVENT_BYTES
    const full = waiting >= this.settings.maxPending || bytes >= PENDING_BYTES
    if (health.failing && full) {
      health.lost(1)
    } else {
      unwritten.push(event)
      // While the file is sick, what waits is counted exactly.
      if (!keeps || health.failing) this.writeDown()
    }
    if (now || full || bytes >= BATCH_BYTES || this.ending) this.flushIfRested()
    else this.schedule()
  }

  probe(): void {
    if (this.health.failing) this.flushIfRested()
  }

  close(): Promise<void> {
    if (!this.health.closed) {
      this.end('close')
      this.health.closed = true
      this.stayForExit()
      this.trail.close()
    }
    return Promise.resolve()
  }

  /** Inside `process.exit` and after an uncaught exception, what comes later is still written, at once. */
  private end(reason: 'close' | 'exit'): void {
    this.stopTimer?.()
    this.stopRetry?.()
    this.ending = true
    this.flush(reason)
    this.health.ended(this.pending.length + this.unwritten.length)
    this.pending = []
    this.unwritten = []
    this.pendingBytes = 0
    this.trail.release()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.flushIfRested()
    })
  }

  private flushIfRested(): void {
    if (this.health.rested && !this.health.closed) this.flush()
  }

  private flush(reason?: CheckpointReason): void {
    const { health } = this
    const { services, failing } = health
    if (services === undefined) return
    this.writeDown()
    if (this.pending.length === 0 && !this.trail.mustOpen && !failing && reason === undefined) return

    try {
      // After an outage the trail gets a checkpoint, also because a probe must write something.
      do this.writeBatch(reason ?? (failing ? 'time' : undefined), services)
      while (this.pending.length > 0)
    } catch (cause) {
      health.failed(cause)
      this.retryLater(services)
      return
    }
    health.recovered()
    if (this.trail.loose > 0) this.checkpointLater(services)
  }

  private writeDown(): void {
    const events = this.unwritten
    if (events.length === 0) return
    // While one is read, what it is made of may put others on record.
    this.unwritten = []
    for (const event of events) {
      const members = this.encode(event)
      this.pending.push(members)
      this.pendingBytes += members.length
    }
  }

  /** In pieces, so that a disk with little room takes what it can. */
  private writeBatch(reason: CheckpointReason | undefined, services: SinkServices): void {
    const { health, pending } = this
    let count = 0
    for (let bytes = 0; count < pending.length && bytes < BATCH_BYTES; count++)
      bytes += pending[count]!.length

    const events = pending.slice(0, count)
    const isLast = count === pending.length
    const gap = isLast && health.unrecorded > 0
    if (gap) events.push(this.encode(health.gap()))
    const appended = this.trail.append(events, isLast ? reason : undefined, services)

    const written = pending.splice(0, appended.events).length
    for (let i = 0; i < written; i++) this.pendingBytes -= events[i]!.length
    health.written += written
    if (gap && appended.events > count) health.unrecorded = 0
    if (appended.head !== undefined) this.announce(appended.head, services)
    if (appended.failure !== undefined) throw appended.failure
  }

  private checkpointLater({ clock }: SinkServices): void {
    if (this.ending) return
    this.stopTimer ??= clock.after(this.settings.checkpointMs, () => {
      this.stopTimer = undefined
      if (this.trail.loose > 0 && !this.health.failing) this.flush('time')
    })
  }

  private retryLater({ clock }: SinkServices): void {
    if (this.ending) return
    this.stopRetry ??= clock.after(RETRY_MS, () => {
      this.stopRetry = undefined
      this.flush()
    })
  }

  private announce(head: AuditHead, { log }: SinkServices): void {
    const complain = (cause: unknown): void => log.error('audit: onCheckpoint failed', { cause })
    try {
      const result = this.settings.onCheckpoint?.(head)
      if (isThenable(result)) result.then(undefined, complain)
    } catch (cause) {
      complain(cause)
    }
  }
}
