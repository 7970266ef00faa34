import { atExit } from '../lib/at-exit.js'
import { atEndOfTurn } from '../lib/in-step.js'
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
/** What an event that keeps is taken to be long, until it is written down. */
const EVENT_BYTES = 1024

function sizeOf(waiting: string | AuditEvent): number {
  return typeof waiting === 'string' ? waiting.length : EVENT_BYTES
}

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
  /** Events that keep become text with the others of their turn: a batch takes a fraction of what each would between two replies. */
  private pending: (string | AuditEvent)[] = []
  private pendingBytes = 0
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
    const { health } = this
    if (health.closed) return health.lostLate()
    const full = this.pending.length >= this.settings.maxPending || this.pendingBytes >= PENDING_BYTES
    if (health.failing && full) {
      health.lost(1)
    } else {
      // Written down before it is among the others: what it is made of may throw, or put others on record.
      const waiting = keeps ? event : this.encode(event)
      this.pending.push(waiting)
      this.pendingBytes += sizeOf(waiting)
    }
    if (now || full || this.pendingBytes >= BATCH_BYTES || this.ending) this.flushIfRested()
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
    this.health.ended(this.pending.length)
    this.pending = []
    this.pendingBytes = 0
    this.trail.release()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    atEndOfTurn(() => {
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

  private writtenDown(at: number): string {
    const waiting = this.pending[at]!
    if (typeof waiting === 'string') return waiting
    const members = this.encode(waiting)
    this.pending[at] = members
    this.pendingBytes += members.length - EVENT_BYTES
    return members
  }

  /** In pieces, so that a disk with little room takes what it can. */
  private writeBatch(reason: CheckpointReason | undefined, services: SinkServices): void {
    const { health, pending } = this
    const events: string[] = []
    for (let bytes = 0; events.length < pending.length && bytes < BATCH_BYTES;) {
      const text = this.writtenDown(events.length)
      bytes += text.length
      events.push(text)
    }

    const count = events.length
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
