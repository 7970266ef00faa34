import type { AuditLogger } from './audit-logger.js'

/**
 * JSON lines on stdout through winston, which is loaded only by those who use it: it takes 40 ms. Until it is there, and
 * where it cannot be imported (Jest without `--experimental-vm-modules`), the same lines go to stdout without it, so none waits
 * and none is lost.
 */
export function stdoutLogger(): AuditLogger & { readonly loaded: Promise<void> } {
  let log = (level: string, entry: object): unknown =>
    process.stdout.write(`${JSON.stringify({ level, ...entry })}\n`)
  const loaded = import('winston').then(
    ({ createLogger, format, transports }) => {
      const winston = createLogger({ format: format.json() })
      // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston types transports as interfaces
      winston.add(new transports.Console())
      log = (level, entry) => winston.log({ level, message: 'audit', ...entry })
    },
    () => undefined,
  )

  return {
    loaded,
    info: (entry) => log('info', entry),
    warn: (entry) => log('warn', entry),
    error: (entry) => log('error', entry),
  }
}
