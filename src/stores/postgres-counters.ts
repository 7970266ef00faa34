import { algorithms } from '../kernel/algorithms.js'
import type { Algorithm, CounterStore, Hit, HitResult } from '../kernel/ports.js'
import { hashedKey } from './hashed-key.js'
import type { PostgresPool } from './postgres-records.js'
import { Sweep, SWEEP_ROWS } from './postgres-sweep.js'

/** What a statement answers: the state of the counter after the hit, in the words of kernel/algorithms.ts. */
interface Row {
  readonly now: string
  readonly admitted: boolean
  readonly ends: string
  readonly used: string
  readonly before: string
}

/**
 * Counters in PostgreSQL, each a row, each hit one statement that is atomic for its row. All times are those of the database, which
 * all processes share.
 */
export class PostgresCounters implements CounterStore {
  private readonly sql: ReturnType<typeof statements>
  private readonly sweep: Sweep

  constructor(
    private readonly pool: PostgresPool,
    table: string,
  ) {
    this.sql = statements(table)
    this.sweep = new Sweep(pool, this.sql.sweep)
  }

  /** `now` is not asked for: the clock of the database is. Hits of one call are statements side by side, of one row each: none waits for two. */
  hit(hits: readonly Hit[]): Promise<readonly HitResult[]> {
    return Promise.all(hits.map((hit) => this.take(hit)))
  }

  private async take({ policy, key, cost }: Hit): Promise<HitResult> {
    const { algorithm, limit, windowMs, scope, name } = policy
    // How far beyond the limit makes no difference, and sums must stay exact.
    const units = Math.min(cost, limit + 1)
    const place = `${[scope, name].map(encodeURIComponent).join(':')}:${algorithm}:${windowMs}:${hashedKey(key)}`
    const { rows } = await this.pool.query(this.sql[algorithm], [place, limit, windowMs, units])
    this.sweep.afterWrite()

    const { now, admitted, ends, used, before } = rows[0] as Row
    const words = Float64Array.of(Number(ends), Number(used), Number(before))
    // Of what was taken, what is left; what was refused would be refused again, for the same reason.
    const result = algorithms[algorithm].take(words, 0, policy, admitted ? 0 : units, Number(now))
    return { ...result, allowed: admitted }
  }
}

/** The clock of the database, in whole milliseconds since 1970. */
const NOW = `floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`

/**
 * What a hit makes of a counter, kept in step with kernel/algorithms.ts, where the arithmetic is explained. Each has a state (`ends`,
 * `used`, `before`) and the time, `$2` is the limit, `$3` the window, `$4` the cost; numbers are exact, however large.
 */
const TAKE: Readonly<Record<Algorithm, (state: string) => string>> = {
  fixed: (state) => `
    SELECT now, used + $4 <= $2, ends, CASE WHEN used + $4 <= $2 THEN used + $4 ELSE used END, 0
    FROM (
      SELECT now, CASE WHEN now < ends THEN least(ends, now + $3::numeric) ELSE now + $3::numeric END AS ends,
        CASE WHEN now < ends THEN used ELSE 0 END AS used
      FROM (${state}) AS state
    ) AS open`,

  sliding: (state) => `
    SELECT now, admitted, start + 2 * $3::numeric, CASE WHEN admitted THEN used + $4 ELSE used END, before
    FROM (
      SELECT *, $4 * $3::numeric <= ($2 - used) * $3::numeric - before * ($3::numeric - (now - start)) AS admitted
      FROM (
        SELECT now, CASE WHEN turned THEN start + $3::numeric ELSE start END AS start,
          CASE WHEN turned THEN 0 ELSE used END AS used, CASE WHEN turned THEN used ELSE before END AS before
        FROM (
          SELECT *, now - start >= $3::numeric AS turned
          FROM (
            SELECT now, CASE WHEN now < ends THEN least(ends - 2 * $3::numeric, now) ELSE now END AS start,
              CASE WHEN now < ends THEN used ELSE 0 END AS used, CASE WHEN now < ends THEN before ELSE 0 END AS before
            FROM (${state}) AS state
          ) AS begun
        ) AS begun
      ) AS current
    ) AS judged`,

  gcra: (state) => `
    SELECT now, admitted, CASE WHEN ahead > 0 THEN now + ahead ELSE 0 END, ahead * $2::numeric - owed, 0
    FROM (
      SELECT *, div(owed + $2::numeric - 1, $2::numeric) AS ahead
      FROM (
        SELECT now, admitted, CASE WHEN admitted THEN owed + $4 * $3::numeric ELSE owed END AS owed
        FROM (
          SELECT *, owed + $4 * $3::numeric <= $2 * $3::numeric AS admitted
          FROM (
            SELECT now, CASE WHEN now < ends THEN least((ends - now) * $2::numeric - used, $2 * $3::numeric) ELSE 0 END AS owed
            FROM (${state}) AS state
          ) AS owing
        ) AS judged
      ) AS taken
    ) AS paid`,
}

/** Every statement, written once. */
function statements(table: string) {
  const hit = (algorithm: Algorithm) => {
    const take = TAKE[algorithm]
    return `INSERT INTO ${table} AS counter (key, now, admitted, ends, used, before)
      SELECT $1, taken.* FROM (${take(`SELECT ${NOW} AS now, 0::numeric AS ends, 0::numeric AS used, 0::numeric AS before`)}) AS taken
      ON CONFLICT (key) DO UPDATE SET (now, admitted, ends, used, before) = (${take(
        'SELECT excluded.now, counter.ends::numeric AS ends, counter.used::numeric AS used, counter.before::numeric AS before',
      )})
      RETURNING now, admitted, ends, used, before`
  }
  return {
    fixed: hit('fixed'),
    sliding: hit('sliding'),
    gcra: hit('gcra'),
    sweep: `DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table}
      WHERE ends <= (SELECT ${NOW}) LIMIT ${SWEEP_ROWS} FOR UPDATE SKIP LOCKED)`,
  }
}
