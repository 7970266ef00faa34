import type { SecurityContext } from '../kernel/context.js'
import type { Stage, StageMiddleware, Verdict } from '../kernel/stage.js'
import type { DpopMode } from './dpop-options.js'
import type { ProtectedResource } from './resource.js'

/**
 * A way to prove who is calling. Alone it refuses callers who lack its credential; in the list of `auth` it yields to
 * the next. On success it sets `ctx.principal`.
 */
export interface Method extends Stage {
  /** What `auth({ methods })` and `principal.method` call it. */
  readonly methodName: string

  /** Whether the request carries a credential of this kind, good or bad, once or twice. Must answer at once; what throws is 500. */
  recognises(ctx: SecurityContext): boolean

  /**
   * A name for what is read: methods of one name read the same credential, and one of them judges it. Default: nobody
   * else reads it, and credentials of two kinds in one request are refused.
   */
  readonly credential?: string

  /**
   * Its credential is in a field of its own. Whatever is in `Authorization` beside it is then a second credential: 400
   * `invalid-request`, also where nobody here accepts it. Default: it may be in `Authorization`.
   */
  readonly ownField?: true

  /**
   * Browsers or TLS send the credential unasked: a cookie, a client certificate, and nothing in `Authorization`. Where an
   * explicit one is sent too, that one decides alone, and `csrf` looks at whoever was proven by this one. Its `enter` may
   * say what is to be bound to the credential (`ambientProof`). Default: the client chose to send it.
   */
  readonly ambient?: true

  /**
   * Of methods that read the same credential: whether this one is sure that it is its own. One that is not leaves it to
   * those that have no such question, and they leave it to one that is. Must answer at once.
   */
  isSure?(ctx: SecurityContext): boolean

  /** The value of `WWW-Authenticate` for a request without a credential, or several; no error code (RFC 6750 section 3.1). */
  challenge(): string | readonly string[]

  /** The resource that it protects, for `resourceMetadata`. Default: it says nothing of it. */
  readonly resource?: ProtectedResource

  /**
   * The same method for a route that asks for proofs as `dpop` says (RFC 9449); `undefined` if it could not accept anything then.
   * Default: it knows of no proofs.
   */
  narrow?(dpop: DpopMode): Method | undefined

  /** What to write instead of two of it in one list, for whoever is told that it is listed twice. Default: another `methodName` for one of them. */
  readonly insteadOfTwo?: string

  enter(ctx: SecurityContext): Verdict | Promise<Verdict>

  /** Takes back what `enter` left on the request besides the principal: another method refused the caller after all. */
  forget?(ctx: SecurityContext): void
}

/** What a method's factory returns: `bearer({ ... })`. */
export type MethodMiddleware = StageMiddleware<Method>
