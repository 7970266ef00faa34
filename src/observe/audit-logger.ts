import type { EventEmitter } from 'node:events'
import { isThenable } from '../lib/when.js'
import type { AuditEvent } from '../kernel/ports.js'
import { eventEncoder, tidy } from './audit-encode.js'
import { Health, type Sink, type SinkServices } from './audit-sink.js'
import type { Severity } from './audit-event.js'

type Level = 'info' | 'warn' | 'error'

/**
 * The logger that events go to, one object each, with `message: 'audit'`: winston, pino, bunyan and `console` fit.
 * A method may return a promise; it is awaited for the count of what is under way, never by a request.
 */
export interface AuditLogger {
  info(entry: object): unknown
  warn(entry: object): unknown
  error(entry: object): unknown
}

const LEVEL: Readonly<Partial<Record<string, Level>>> = {
  info: 'info',
  low: 'warn',
  medium: 'warn',
  high: 'error',
} satisfies Record<Severity, Level>

/** Hands events to somebody else's logger and watches what it lets us see: throws, rejections, `error` events, its backlog. */
export class LoggerSink implements Sink {
  readonly name = 'logger'
  readonly health = new Health('logger')
  private readonly lines: boolean
  private readonly encode = eventEncoder()
  private underWay = 0

  /** @param maxPending events that may wait inside the logger before further ones are dropped and counted */
  constructor(
    private readonly logger: AuditLogger,
    private readonly maxPending: number,
  ) {
    // By shape and not `instanceof Console`, so that `{ ...console }` gets its lines too; another logger loses nothing by them.
    this.lines = 'table' in logger
    if (isEmitter(logger)) logger.on('error', this.onError)
  }

  attach(services: SinkServices): void {
    this.health.services ??= services
  }

  write(event: AuditEvent): void {
    if (this.health.closed) return this.health.lostLate()
    if (this.takes()) this.hand(event)
    else this.health.lost(1)
    this.probe()
  }

  /** The logger is believed to be well when it takes this in peace; an error that comes later makes it sick again. */
  probe(): void {
    const { health } = this
    if (health.failing && health.rested && this.takes() && this.hand(health.gap())) health.recovered()
  }

  close(): Promise<void> {
    this.health.closed = true
    if (isEmitter(this.logger)) this.logger.off('error', this.onError)
    return Promise.resolve()
  }

  private takes(): boolean {
    if (this.health.closed) return false
    if (this.backlog() < this.maxPending) return true
    this.health.failed(new Error(`${this.maxPending} events wait in the logger`))
    return false
  }

  private hand(event: AuditEvent): boolean {
    try {
      const level = (Object.hasOwn(event, 'severity') && LEVEL[event['severity'] as string]) || 'info'
      const result = this.logger[level](
        this.lines ? (`{${this.encode(event)}}` as unknown as object) : { message: 'audit', ...tidy(event) },
      )
      if (isThenable(result)) this.follow(result)
      this.health.written++
      return true
    } catch (cause) {
      this.health.failed(cause)
      this.health.lost(1)
      return false
    }
  }

  private follow(result: PromiseLike<unknown>): void {
    this.underWay++
    const ended = (): void => {
      this.underWay--
    }
    // A promise of somebody else's may throw when it is asked.
    Promise.resolve(result).then(ended, (cause: unknown) => {
      ended()
      this.onError(cause)
    })
  }

  private readonly onError = (cause: unknown): void => {
    this.health.failed(cause)
    this.health.lost(1)
  }

  /** A winston logger is a stream: what its transports do not take piles up in it. */
  private backlog(): number {
    const { writableLength } = this.logger as { writableLength?: unknown }
    return this.underWay + (typeof writableLength === 'number' ? writableLength : 0)
  }
}

function isEmitter(logger: object): logger is EventEmitter {
  return 'on' in logger && 'off' in logger && typeof logger.on === 'function'
}
