import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SecurityContext } from './context.js'
import type { Store } from './ports.js'
import type { Problem } from './problem.js'

/** The stage wrote the response itself: a preflight, a challenge page, a proxied reply. */
export const answered: unique symbol = Symbol.for('secure-api.answered') as never

/** Exactly `undefined` lets the request through, a Problem refuses it, `answered` ends it; anything else is broken (500). */
export type Verdict = void | Problem | typeof answered

/** What stages establish for one another. */
export type Fact = 'principal' | 'body'

/** A risky or surprising setting, by stable code, with cause and fix. Listed by `api.check(app)`. */
export interface Finding {
  readonly code: string
  /** What is wrong, naming the route or option. */
  readonly cause: string
  readonly fix: string
  readonly severity: 'high' | 'medium' | 'low'
  /** The route it concerns, if one. */
  readonly route?: string
}

/**
 * One protection. A stage meets an exchange at up to four moments
 * and implements only those it cares about.
 */
export interface Stage {
  /** Its row in `order.ts`; its name in logs, metrics and `explain()`. */
  readonly name: string

  /** Facts an earlier stage must establish. Checked when the pipeline is built, never per request. */
  readonly needs?: readonly Fact[]
  readonly gives?: readonly Fact[]

  /** When report mode applies: `'always'` (default), `'by-name'` only if the mode names this stage, or `'never'`. */
  readonly reportable?: 'always' | 'by-name' | 'never'

  /**
   * It says who may: a refusal of it that is only reported is an access decision all the same. What it lets through it
   * declares decided itself, by `ctx.decided = true`. Default false.
   */
  readonly decides?: boolean

  /**
   * How long `enter` and `shape` may take to answer, in milliseconds. Default 30,000; later: 500 `broken`, or `unshapable`
   * for a reply. `false`: whatever it waits for has a deadline of its own.
   */
  readonly timeoutMs?: number | false

  /**
   * Why a page of another site can act by what this one knows callers by, in words that go on: `browsers send its cookie unasked`. Then
   * `check` wants `csrf` behind it. Default: no page can.
   */
  readonly unasked?: string

  /** Those whom it establishes may be known by several authorities, as far as settings tell: two of them may know two people by one subject (ASVS 6.8.1). */
  readonly severalIssuers?: boolean

  /** It adds to the head of each reply when that is written, refusals included: header fields wait for it. Default false. */
  readonly completes?: boolean

  /** Why it cannot stand behind such a stage, and what to write. Default: it can. */
  readonly oneIssuer?: string | undefined

  /** What it counts by; names must differ within one pipeline. */
  readonly policies?: readonly { readonly name: string }[]

  /** The request arrives. Return a Problem to refuse it; throw only when something is broken. */
  enter?(ctx: SecurityContext): Verdict | Promise<Verdict>

  /** The handler produced a JSON body. Return the body to send in its place; throw to refuse the reply. */
  shape?(ctx: SecurityContext, body: unknown): unknown

  /**
   * Somebody puts facts about this exchange on record. Return what may be kept of them, as a copy; throw, and none are.
   * Also asked in report mode.
   */
  conceal?(facts: unknown): unknown

  /** The exchange is over, however it ended. Observe; never throw. */
  settle?(ctx: SecurityContext): void

  /** Effective options without secrets, for `explain()`. */
  describe?(): unknown

  /**
   * Settings of this stage that deserve a second look, for `check()`.
   *
   * @param shared the store of the API, if it has one
   */
  findings?(shared?: Store): readonly Finding[]

  /** Resolves when the stage can decide at full speed: keys fetched, files open. Called by `api.ready()`. */
  ready?(services: SecurityContext['services']): Promise<void>

  /** Release timers, sockets and caches. Called by `api.close()`. */
  close?(): Promise<void>
}

export type Next = (error?: unknown) => void
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void

/** Plain Express middleware that also carries its Stage, so a pipeline can unwrap and inline it. */
export type StageMiddleware<S extends Stage = Stage> = Middleware & { readonly stage: S }
