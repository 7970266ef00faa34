import { show } from './check.js'
import { ConfigError } from './config-error.js'
import type { Clock } from './ports.js'

const METHODS = ['now', 'monotonic', 'after'] as const

/** @throws ConfigError for what cannot tell the time */
export function checkClock(option: string, clock: unknown): Clock {
  const given = clock as Partial<Clock> | null
  if (METHODS.every((method) => typeof given?.[method] === 'function')) return clock as Clock
  throw new ConfigError(`${option} must have the methods now, monotonic and after, got ${show(clock)}`)
}
