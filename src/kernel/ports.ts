/** An answer that may be there at once. */
export type Later<T> = T | Promise<T>

/** The time, as every stage sees it. Replaced in tests. */
export interface Clock {
  /** Wall clock, in milliseconds since 1970. */
  now(): number
  /** A clock that never jumps, in milliseconds, for durations. */
  monotonic(): number
  /** Calls `callback` after `ms` milliseconds unless the returned function is called before. Never keeps the process alive. */
  after(ms: number, callback: () => void): () => void
}

/**
 * How a limit counts. A refused hit takes nothing, whichever it is, so that asking again too early never delays the caller.
 *
 * - `fixed`: a window opens with a caller's first hit and admits `limit` units; up to twice as many around its end.
 * - `sliding`: the window before this one counts in proportion to how much of it the last `windowMs` still cover.
 * - `gcra`: units come back one by one, evenly over `windowMs`; `limit` of them may be taken at once (generic cell rate).
 *
 * Any stretch of x milliseconds, x at most `windowMs`, admits `2 * limit` units under `fixed`, and
 * `limit * (1 + x / windowMs)` under the other two.
 */
export type Algorithm = 'fixed' | 'sliding' | 'gcra'

/** One counting rule. Made once at start; stores may keep state by its identity, and must keep shared state by `scope` and `name`. */
export interface Policy {
  /** The stage that counts, so that `rateLimit` and `quota` never share a counter. */
  readonly scope: string
  /**
   * Part of its keys in a shared store. Of a limit that has a name of its own, that name; otherwise one that no other limit of
   * the process has, with quotation marks in it.
   */
  readonly name: string
  /** Units allowed per window. */
  readonly limit: number
  readonly windowMs: number
  readonly algorithm: Algorithm
}

/** `cost` units, a whole number, taken from `key` under `policy`. */
export interface Hit {
  readonly policy: Policy
  readonly key: string
  readonly cost: number
}

export interface HitResult {
  readonly allowed: boolean
  /** Whole units left after this hit, 0 or more. */
  readonly left: number
  /** Milliseconds until more units are there: the end of a fixed window, the next unit otherwise; 0 if none are missing. */
  readonly refillMs: number
  /**
   * Milliseconds until a hit of the same cost can succeed, never less than `refillMs`; 0 if this one was allowed. A cost
   * above the limit never succeeds: a whole window, or `refillMs` if that is more.
   */
  readonly retryMs: number
  /** The key shared an overflow counter, because the table of this process is full. */
  readonly overflow?: boolean
}

/** Counts. Each hit is atomic per key; all hits of one call travel together, and each is decided on its own. */
export interface CounterStore {
  /** @param now milliseconds on a clock that does not jump; a store that many processes share has a clock of its own. */
  hit(hits: readonly Hit[], now: number): Later<readonly HitResult[]>
  close?(): Promise<void>
}

/**
 * Keeps records under keys: API keys, sessions, tokens. A key belongs to a space, which names what is kept in it: lower-case
 * letters and hyphens. Keys are any text. Values are text as `JSON.stringify` makes it, so without NUL and lone surrogates.
 * A time to live is a whole number of milliseconds, at least 1; without one, the record stays until it is deleted.
 */
export interface RecordStore {
  /** `undefined` if there is no record, or its time is over. */
  get(space: string, key: string): Later<string | undefined>
  /** The same for several keys of a space, in their order: one question instead of many. Without it, `get` is asked for each. */
  getMany?(space: string, keys: readonly string[]): Later<readonly (string | undefined)[]>
  /** Writes, whatever was there. A new time to live takes the place of the old one. */
  put(space: string, key: string, value: string, ttlMs?: number): Later<void>
  /**
   * Writes only if the record is exactly `expected`, or with `undefined` only if there is none: of those who read the same
   * and write at once, one succeeds. Whether it wrote.
   */
  replace(
    space: string,
    key: string,
    expected: string | undefined,
    value: string,
    ttlMs?: number,
  ): Later<boolean>
  /** Whether there was one: of those who delete at once, one is told so. */
  delete(space: string, key: string): Later<boolean>
  /**
   * Values of a space, in no order, for operators and not for requests. A value may come twice, and what is written
   * meanwhile may be missing.
   *
   * @param cursor of the page before; the first page has none before it
   */
  list(space: string, cursor?: string): Later<RecordPage>
  close?(): Promise<void>
}

export interface RecordPage {
  readonly values: readonly string[]
  /** There is more: asks for the next page. */
  readonly cursor?: string
}

/** Lets something happen once: a nonce, the `jti` of a proof. Spaces and keys are those of `RecordStore`. */
export interface OnceStore {
  /** `true` for the first who claims the key, `false` for everybody else until `ttlMs` milliseconds later. */
  claim(space: string, key: string, ttlMs: number): Later<boolean>
  close?(): Promise<void>
}

/** A store that a backend offers: as many ports as it can serve. */
export interface Store {
  counters?: CounterStore
  records?: RecordStore
  once?: OnceStore
}

/** Every port. */
export type Ports = Required<Store>

/** One fact for the record. Plain data: no secret, token or body is ever put into it. */
export interface AuditEvent {
  /** What kind of fact: `request`, `decision`, `limiter-overflow`, ... */
  readonly kind: string
  readonly [member: string]: unknown
}

/** Where audit events go. */
export interface AuditSink {
  write(event: AuditEvent): void
}

/** A logger: winston, pino and console all fit. */
export interface Log {
  info(message: string, details?: object): void
  warn(message: string, details?: object): void
  error(message: string, details?: object): void
}
