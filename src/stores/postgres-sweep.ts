import type { PostgresPool } from './postgres-records.js'

const SWEEP_EVERY = 100
/** How many rows one statement deletes at most. */
export const SWEEP_ROWS = 1_000

/** Deletes rows whose time is over, now and then and some at a time, by those who write. */
export class Sweep {
  private writes = 0

  constructor(
    private readonly pool: PostgresPool,
    private readonly statement: string,
  ) {}

  /** Nobody waits for it, and whoever writes next tries again. */
  afterWrite(): void {
    if (++this.writes % SWEEP_EVERY === 0) this.pool.query(this.statement, []).catch(() => undefined)
  }
}
