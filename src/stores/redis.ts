import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Ports } from '../kernel/ports.js'
import { scriptRunner, type IoredisClient, type NodeRedisClient } from './redis-client.js'
import { RedisCounters } from './redis-counters.js'
import { RedisOnce, RedisRecords } from './redis-records.js'

export interface RedisOptions {
  /**
   * Begins every key, so that several applications can share one Redis: letters, digits and `_ . -`. Default `'secure-api'`.
   */
  prefix?: string
}

/**
 * Stores in Redis 5 or later, or Valkey, for limits, keys, sessions and replays that hold across processes. Takes the ioredis or node-redis client that you
 * already have, single or cluster; it stays yours to connect and to close. While it is not connected, calls fail at once.
 *
 * @throws ConfigError for anything else
 * @example
 * const api = secureApi({ auth, store: redis(new Redis('rediss://cache.internal')) })
 */
export function redis(client: IoredisClient | NodeRedisClient, options: RedisOptions = {}): Ports {
  knownKeys('redis', options, ['prefix'])
  const { prefix = 'secure-api' } = options
  if (typeof prefix !== 'string' || !/^[\w.-]{1,100}$/.test(prefix)) {
    throw new ConfigError(`redis.prefix must be 1 to 100 letters, digits, _ . or -, got ${show(prefix)}`)
  }
  const runner = scriptRunner(client)
  return {
    counters: new RedisCounters(runner, prefix),
    records: new RedisRecords(runner, prefix),
    once: new RedisOnce(runner, prefix),
  }
}
