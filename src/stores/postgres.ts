import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Ports } from '../kernel/ports.js'
import { surviveErrors } from './survive-errors.js'
import { PostgresOnce, PostgresRecords, type PostgresPool } from './postgres-records.js'

export type { PostgresPool } from './postgres-records.js'

export interface PostgresOptions {
  /**
   * The table that has everything: a name of lower-case letters, digits and underscores, with a schema before it if need be.
   * Default `'secure_api_records'`.
   */
  table?: string
}

/**
 * Stores in PostgreSQL 12 or later, for keys, sessions and replays that hold across processes. Takes the pool of `pg` that
 * you already have; it stays yours to end. It does not count: limits need another store, or are counted by each process.
 *
 * @throws ConfigError for anything else
 * @example
 * await pool.query(postgresSchema())
 * const keys = apiKey({ store: postgres(pool), pepper })
 */
export function postgres(pool: PostgresPool, options: PostgresOptions = {}): Pick<Ports, 'records' | 'once'> {
  const table = tableOf(options)
  if (typeof (pool as Partial<PostgresPool> | null | undefined)?.query !== 'function') {
    throw new ConfigError(`postgres needs a pool of pg, got ${show(pool)}; for example postgres(new Pool())`)
  }
  surviveErrors(pool)
  return { records: new PostgresRecords(pool, table), once: new PostgresOnce(pool, table) }
}

/** IF NOT EXISTS does not hold among those who start at once: they take turns, until the end of the transaction. `secure` in ASCII. */
const SCHEMA_LOCK = 0x73_65_63_75_72_65

/**
 * The statements that make the table. They change nothing where it is there already, so they can be run at each start, by several
 * processes at once if they are sent as one text, or be part of your migrations.
 */
export function postgresSchema(options: PostgresOptions = {}): string {
  const table = tableOf(options)
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
`
}

function tableOf(options: PostgresOptions): string {
  knownKeys('postgres', options, ['table'])
  const { table = 'secure_api_records' } = options
  // Nothing that has to be quoted, because it stands in the statements themselves.
  if (typeof table === 'string' && /^(?:[a-z_][a-z0-9_]{0,49}\.)?[a-z_][a-z0-9_]{0,49}$/.test(table))
    return table
  throw new ConfigError(
    `postgres.table must be a name of lower-case letters, digits and underscores, such as 'secure_api_records', got ${show(table)}`,
  )
}
