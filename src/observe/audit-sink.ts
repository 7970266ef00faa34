import type { Services } from '../kernel/services.js'
import type { AuditEvent } from '../kernel/ports.js'

/** What a sink has done so far, and whether it works. */
export interface AuditStats {
  /** Events handed to the operating system (file) or to the logger. */
  readonly written: number
  /** Events lost: the sink was sick and the waiting room full. */
  readonly dropped: number
  /** Whether the sink is sick at this moment. */
  readonly failing: boolean
}

/** Where events go. Nothing here throws: a sick sink is counted, and said once per outage. */
export interface Sink {
  readonly name: 'file' | 'logger'
  readonly health: Health
  /**
   * Takes one event; `now` asks for it to be written before this returns. An event that keeps may wait before it is looked at:
   * nobody has it who could change it.
   */
  write(event: AuditEvent, now: boolean, keeps: boolean): void
  /** Tries a sick sink again, at most once a second. */
  probe(): void
  /** Called once, with the services of the first pipeline that uses the sink. */
  attach(services: SinkServices): void
  close(): Promise<void>
}

/** How long a sick sink must have been quiet before it is tried again. */
export const RETRY_MS = 1_000

/** What a sink needs from the pipeline that uses it first. */
export type SinkServices = Pick<Services, 'clock' | 'log'>

/** Counts, and tells the operator of each outage once: when it begins and when it is over. */
export class Health {
  written = 0
  dropped = 0
  failing = false
  /** The sink takes nothing any more. */
  closed = false
  /** Events that the present outage has cost so far. */
  lostInOutage = 0
  /** Those of them that no event on record tells of. */
  unrecorded = 0
  services: SinkServices | undefined
  private lastFailure = 0

  constructor(private readonly name: string) {}

  /** Whether the sink is well, or has been quiet long enough to be tried again. */
  get rested(): boolean {
    return !this.failing || this.monotonic() - this.lastFailure >= RETRY_MS
  }

  failed(cause: unknown): void {
    this.lastFailure = this.monotonic()
    if (this.failing) return
    this.failing = true
    this.services?.log.error(`audit: the ${this.name} takes no events`, { cause })
  }

  lost(events: number): void {
    this.dropped += events
    this.lostInOutage += events
    this.unrecorded += events
  }

  /** An event that comes after the end: requests are still served although the audit was closed. */
  lostLate(): void {
    this.failed(new Error('it was closed, and requests still come'))
    this.lost(1)
  }

  /** The sink is closed, and so many events still waited. With what the outage has cost before, that is final. */
  ended(waiting: number): void {
    this.lost(waiting)
    const lost = this.lostInOutage
    if (lost > 0) this.services?.log.error(`audit: the ${this.name} was closed with events lost`, { lost })
  }

  recovered(): void {
    const lost = this.lostInOutage
    this.lostInOutage = 0
    this.unrecorded = 0
    if (!this.failing) return
    this.failing = false
    this.services?.log.warn(`audit: the ${this.name} takes events again`, { lost })
  }

  /** The event that puts the loss itself on record. */
  gap(): AuditEvent {
    const now = this.services?.clock.now()
    return {
      kind: 'audit-gap',
      ...(now !== undefined && { time: new Date(now).toISOString() }),
      severity: 'high',
      facts: { lost: this.unrecorded },
    }
  }

  private monotonic(): number {
    return this.services?.clock.monotonic() ?? 0
  }
}
