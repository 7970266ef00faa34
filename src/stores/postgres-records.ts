import type { OnceStore, RecordPage, RecordStore } from '../kernel/ports.js'
import { hashedKey } from './hashed-key.js'
import { Sweep, SWEEP_ROWS } from './postgres-sweep.js'

/** A pool of `pg`, as far as it is used here. */
export interface PostgresPool {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }>
  on?(event: 'error', listener: () => void): unknown
}

const PAGE = 500

/** Every statement, written once. All times are those of the database, which all processes share. */
function statements(table: string) {
  const lives = `(${table}.expires_at IS NULL OR ${table}.expires_at > clock_timestamp())`
  const ends = (parameter: string) => `clock_timestamp() + ${parameter}::float8 * interval '1 millisecond'`
  const insert = `INSERT INTO ${table} (space, key, value, expires_at) VALUES ($1, $2, $3, ${ends('$4')})
    ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`
  return {
    get: `SELECT value FROM ${table} WHERE space = $1 AND key = $2 AND ${lives}`,
    getMany: `SELECT key, value FROM ${table} WHERE space = $1 AND key = ANY($2) AND ${lives}`,
    put: insert,
    // A row whose time is over is none.
    insert: `${insert} WHERE NOT ${lives}`,
    replace: `UPDATE ${table} SET value = $3, expires_at = ${ends('$4')}
      WHERE space = $1 AND key = $2 AND value = $5 AND ${lives}`,
    delete: `DELETE FROM ${table} WHERE space = $1 AND key = $2 AND ${lives}`,
    list: `SELECT key, value FROM ${table} WHERE space = $1 AND key > $2 AND ${lives} ORDER BY key LIMIT ${PAGE}`,
    // Asked once, the time can be looked up in the index; asked for each row, all of them would be read.
    sweep: `DELETE FROM ${table} WHERE (space, key) IN (SELECT space, key FROM ${table}
      WHERE expires_at <= (SELECT clock_timestamp()) LIMIT ${SWEEP_ROWS} FOR UPDATE SKIP LOCKED)`,
  }
}

/** One table, and what is asked of it. */
class Table {
  readonly sql: ReturnType<typeof statements>
  private readonly sweep: Sweep

  constructor(
    private readonly pool: PostgresPool,
    name: string,
  ) {
    this.sql = statements(name)
    this.sweep = new Sweep(pool, this.sql.sweep)
  }

  async rows<Row>(text: string, values: unknown[]): Promise<readonly Row[]> {
    return (await this.pool.query(text, values)).rows as Row[]
  }

  /** How many rows a statement wrote. */
  async write(text: string, values: unknown[]): Promise<number> {
    const { rowCount } = await this.pool.query(text, values)
    this.sweep.afterWrite()
    return rowCount ?? 0
  }
}

/** Records in PostgreSQL, each a row. */
export class PostgresRecords implements RecordStore {
  private readonly table: Table

  constructor(pool: PostgresPool, table: string) {
    this.table = new Table(pool, table)
  }

  async get(space: string, key: string): Promise<string | undefined> {
    const rows = await this.table.rows<{ value: string }>(this.table.sql.get, place(space, key))
    return rows[0]?.value
  }

  async getMany(space: string, keys: readonly string[]): Promise<(string | undefined)[]> {
    const names = keys.map(hashedKey)
    const values = [`record:${space}`, names]
    const rows = await this.table.rows<{ key: string; value: string }>(this.table.sql.getMany, values)
    const found = new Map(rows.map(({ key, value }) => [key, value]))
    return names.map((name) => found.get(name))
  }

  async put(space: string, key: string, value: string, ttlMs?: number): Promise<void> {
    await this.table.write(this.table.sql.put, [...place(space, key), value, ttlMs ?? null])
  }

  async replace(
    space: string,
    key: string,
    expected: string | undefined,
    value: string,
    ttlMs?: number,
  ): Promise<boolean> {
    const { insert, replace } = this.table.sql
    const values = [...place(space, key), value, ttlMs ?? null]
    const written =
      expected === undefined
        ? await this.table.write(insert, values)
        : await this.table.write(replace, [...values, expected])
    return written === 1
  }

  async delete(space: string, key: string): Promise<boolean> {
    return (await this.table.write(this.table.sql.delete, place(space, key))) === 1
  }

  async list(space: string, cursor = ''): Promise<RecordPage> {
    const values = [`record:${space}`, cursor]
    const rows = await this.table.rows<{ key: string; value: string }>(this.table.sql.list, values)
    const page = { values: rows.map(({ value }) => value) }
    return rows.length < PAGE ? page : { ...page, cursor: rows.at(-1)!.key }
  }
}

/** What happened once, each a row. */
export class PostgresOnce implements OnceStore {
  private readonly table: Table

  constructor(pool: PostgresPool, table: string) {
    this.table = new Table(pool, table)
  }

  async claim(space: string, key: string, ttlMs: number): Promise<boolean> {
    return (await this.table.write(this.table.sql.insert, [`once:${space}`, hashedKey(key), '', ttlMs])) === 1
  }
}

function place(space: string, key: string): [string, string] {
  return [`record:${space}`, hashedKey(key)]
}
