import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import type { AuditLogger } from './audit-logger.js'
import { StdoutLines } from './stdout-lines.js'

/**
 * JSON lines on stdout through winston, which is loaded only by those who use it: it takes 40 ms. Until it is there, and
 * where it cannot be imported (Jest without `--experimental-vm-modules`), the same lines go to stdout without it, so none waits
 * and none is lost. Like a winston logger it says how much waits in it, and emits `error` for each event that was lost.
 */
export class StdoutLogger extends EventEmitter implements AuditLogger {
  readonly loaded: Promise<void>
  private readonly lines = new StdoutLines(
    (cause) => this.listenerCount('error') > 0 && this.emit('error', cause),
  )
  private log = (level: string, entry: object): unknown =>
    this.lines.write(`${JSON.stringify({ level, ...entry })}\n`)

  constructor() {
    super()
    this.loaded = import('winston').then(
      ({ createLogger, format, transports }) => {
        const stream = new Writable({
          decodeStrings: false,
          write: (line: string, _encoding, done) => {
            this.lines.write(line)
            done()
          },
        })
        const winston = createLogger({ format: format.json() })
        // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston types transports as interfaces
        winston.add(new transports.Stream({ stream, eol: '\n' }))
        this.log = (level, entry) => winston.log({ level, message: 'audit', ...entry })
      },
      () => undefined,
    )
  }

  /** Events that stdout has not taken yet. */
  get writableLength(): number {
    return this.lines.length
  }

  info(entry: object): void {
    this.log('info', entry)
  }

  warn(entry: object): void {
    this.log('warn', entry)
  }

  error(entry: object): void {
    this.log('error', entry)
  }
}
