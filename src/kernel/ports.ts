/** The time, as every stage sees it. Replaced in tests. */
export interface Clock {
  /** Wall clock, in milliseconds since 1970. */
  now(): number
  /** A clock that never jumps, in milliseconds, for durations. */
  monotonic(): number
  /** Calls `callback` after `ms` milliseconds unless the returned function is called before. Never keeps the process alive. */
  after(ms: number, callback: () => void): () => void
}

export type Algorithm = 'fixed' | 'sliding' | 'gcra'

/** One counting rule. Made once at start; stores may keep state by its identity, and must keep shared state by its `name`. */
export interface Policy {
  /** Unique within a pipeline; the name in `RateLimit` headers and the prefix of its keys in a shared store. */
  readonly name: string
  /** Units allowed per window. */
  readonly limit: number
  readonly windowMs: number
  readonly algorithm: Algorithm
}

/** `cost` units taken from `key` under `policy`. */
export interface Hit {
  readonly policy: Policy
  readonly key: string
  readonly cost: number
}

export interface HitResult {
  readonly allowed: boolean
  /** Units left after this hit, 0 or more. */
  readonly left: number
  /** Milliseconds until the full limit is available again (`fixed`: until the window ends). */
  readonly resetMs: number
  /** Milliseconds until a hit of the same cost may succeed; 0 if this one was allowed. */
  readonly retryMs: number
  /** The key shared an overflow counter, because the table of this process is full. */
  readonly overflow?: boolean
}

/** Counts. Each hit is atomic per key; all hits of one call travel together. */
export interface CounterStore {
  hit(hits: readonly Hit[], now: number): readonly HitResult[] | Promise<readonly HitResult[]>
  close?(): Promise<void>
}

/** A store that a backend offers: as many ports as it can serve. */
export interface Store {
  counters?: CounterStore
}

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
