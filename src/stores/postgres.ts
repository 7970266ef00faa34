import { boolean, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Ports, Store } from '../kernel/ports.js'
import { surviveErrors } from './survive-errors.js'
import { PostgresCounters } from './postgres-counters.js'
import { PostgresOnce, PostgresRecords, type PostgresPool } from './postgres-records.js'

export type { PostgresPool } from './postgres-records.js'

export interface PostgresOptions {
  /**
   * The table that has everything: a name of lower-case letters, digits and underscores, with a schema before it if need be.
   * Default `'secure_api_records'`.
   */
  table?: string
  /**
   * `true`: it counts as well, in a second table beside the first, whose name ends in `_counters`. Each request that is counted is then a
   * write there, so it is for limits of API keys and the like, and not for the flood that `rateLimit` keeps out. Default `false`.
   */
  counters?: boolean
}

/**
 * Stores in PostgreSQL 12 or later, for keys, sessions and replays that hold across processes. Takes the pool of `pg` that
 * you already have; it stays yours to end. It counts only if it is told to: `postgres(pool, { counters: true })`.
 *
 * @throws ConfigError for anything else
 * @example
 * await pool.query(postgresSchema())
 * const keys = apiKey({ store: postgres(pool), pepper })
 */
export function postgres(pool: PostgresPool, options: PostgresOptions & { counters: true }): Ports
export function postgres(pool: PostgresPool, options?: PostgresOptions): Pick<Ports, 'records' | 'once'>
export function postgres(pool: PostgresPool, options: PostgresOptions = {}): Store {
  const { table, counters } = tablesOf(options)
  if (typeof (pool as Partial<PostgresPool> | null | undefined)?.query !== 'function') {
    throw new ConfigError(`postgres needs a pool of pg, got ${show(pool)}; for example postgres(new Pool())`)
  }
  surviveErrors(pool)
  return {
    records: new PostgresRecords(pool, table),
    once: new PostgresOnce(pool, table),
    ...(counters !== undefined && { counters: new PostgresCounters(pool, counters) }),
  }
}

/** IF NOT EXISTS does not hold among those who start at once: they take turns, until the end of the transaction. `secure` in ASCII. */
const SCHEMA_LOCK = 0x73_65_63_75_72_65

/**
 * The statements that make the table, and with `counters: true` that of the counters. They change nothing where it is there already, so they can be run at each start, by several
 * processes at once if they are sent as one text, or be part of your migrations.
 */
export function postgresSchema(options: PostgresOptions = {}): string {
  const { table, counters } = tablesOf(options)
  const index = `${table.split('.').at(-1)!}_expiry`
  return `SELECT pg_advisory_xact_lock(${SCHEMA_LOCK});
CREATE TABLE IF NOT EXISTS ${table} (
  space text NOT NULL,
  key text NOT NULL,
  value text NOT NULL,
  expires_at timestamptz,
  PRIMARY KEY (space, key)
);
CREATE INDEX IF NOT EXISTS ${index} ON ${table} (expires_at) WHERE expires_at IS NOT NULL;
${counters === undefined ? '' : counterSchema(counters)}`
}

/**
 * Not logged: counting costs no flush to disk, and after a crash counters begin anew. Pages are left half empty, so that a counter that
 * goes on is written beside itself and in no index.
 */
function counterSchema(table: string): string {
  const index = `${table.split('.').at(-1)!.slice(0, -'ers'.length)}_end`
  return `CREATE UNLOGGED TABLE IF NOT EXISTS ${table} (
  key text PRIMARY KEY,
  now bigint NOT NULL,
  admitted boolean NOT NULL,
  ends bigint NOT NULL,
  used bigint NOT NULL,
  before bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS ${index} ON ${table} (ends);
`
}

function tablesOf(options: PostgresOptions): { table: string; counters: string | undefined } {
  knownKeys('postgres', options, ['table', 'counters'])
  const { table = 'secure_api_records', counters = false } = options
  boolean('postgres.counters', counters)
  // Nothing that has to be quoted, because it stands in the statements themselves.
  if (typeof table === 'string' && /^(?:[a-z_][a-z0-9_]{0,49}\.)?[a-z_][a-z0-9_]{0,49}$/.test(table))
    return { table, counters: counters ? `${table}_counters` : undefined }
  throw new ConfigError(
    `postgres.table must be a name of lower-case letters, digits and underscores, such as 'secure_api_records', got ${show(table)}`,
  )
}
