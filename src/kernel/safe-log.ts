import { attempt } from '../lib/attempt.js'
import { isStrayPromise } from '../lib/when.js'
import { show } from './check.js'
import { ConfigError } from './config-error.js'
import type { Log } from './ports.js'

const LEVELS = ['info', 'warn', 'error'] as const

/**
 * A log of which nothing that it does changes a decision: it may throw, and it may answer with a promise that fails.
 *
 * @throws ConfigError for what is no log
 */
export function safeLog(log: Log): Log {
  if (!LEVELS.every((level) => typeof (log as Partial<Log> | null)?.[level] === 'function')) {
    throw new ConfigError(`log must have the methods info, warn and error, got ${show(log)}`)
  }
  const safely =
    (level: keyof Log) =>
    (...entry: Parameters<Log['info']>): void => {
      try {
        isStrayPromise(log[level](...entry))
      } catch {
        // There is nowhere left to say so, unless it was the details that nobody can read.
        attempt(() => isStrayPromise(log[level](entry[0])), undefined)
      }
    }
  return { info: safely('info'), warn: safely('warn'), error: safely('error') }
}
