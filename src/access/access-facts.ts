import type { Principal, SecurityContext, Slot } from '../kernel/context.js'
import { decidingParams, type ParamsOf } from '../kernel/validated-params.js'

/**
 * What access is decided by: read-only, and read when it is asked for, so take what you need and copy none of it whole. `Resource` is
 * for those who know what is loaded.
 */
export interface AccessFacts<Resource = unknown> {
  /** Who is calling. */
  readonly principal: Principal
  /** The object that the `ownership` beside it has loaded, or else the last one that stands before; `undefined` where none does. */
  readonly resource: Resource
  /** Path parameters: the text that was sent, or what `validate` made of it, which a schema may turn into something else than text. */
  readonly params: Readonly<Record<string, string>>
  /** What `validate` let through; `undefined` without a schema. */
  readonly query: unknown
  readonly headers: unknown
  readonly cookies: unknown
  /** What `validate` let through; without a schema what is on `req.body`. */
  readonly body: unknown
  readonly method: string
  /** The rule of `routes` that fits, as it was written; `undefined` where none does. */
  readonly route: string | undefined
  /** The path that the client asked for, without the query and undecoded. */
  readonly path: string
  /** The client's address behind the declared proxies; `undefined` for a socket that is already gone. */
  readonly clientIp: string | undefined
  /** When the request arrived, in milliseconds since 1970. */
  readonly now: number
}

/** What one `ownership` has loaded; `null` while it has found nothing. */
export type OwnResource<Resource extends object = object> = Slot<Resource | null>

/** The facts of one request. Getters: what nobody asks for costs nothing. */
export class RequestFacts implements AccessFacts {
  readonly #ctx: SecurityContext
  readonly #paramsOf: ParamsOf
  readonly #own: OwnResource | undefined
  #params: Readonly<Record<string, string>> | undefined

  constructor(
    ctx: SecurityContext,
    readonly principal: Principal,
    paramsOf: ParamsOf,
    own?: OwnResource,
  ) {
    this.#ctx = ctx
    this.#paramsOf = paramsOf
    this.#own = own
    Object.freeze(this)
  }

  get resource(): unknown {
    // Of several rules each loads its own, and what a policy says of one is not meant for another.
    const own = this.#own && this.#ctx.get(this.#own)
    return own === undefined ? this.#ctx.resource : (own ?? undefined)
  }

  get params(): Readonly<Record<string, string>> {
    return (this.#params ??= decidingParams(this.#ctx, this.#paramsOf) as Readonly<Record<string, string>>)
  }

  get query(): unknown {
    return this.#ctx.input.query
  }

  get headers(): unknown {
    return this.#ctx.input.headers
  }

  get cookies(): unknown {
    return this.#ctx.input.cookies
  }

  get body(): unknown {
    const { req, input } = this.#ctx
    return 'body' in input ? input.body : (req as { body?: unknown }).body
  }

  get method(): string {
    return this.#ctx.req.method ?? ''
  }

  get route(): string | undefined {
    return this.#ctx.route
  }

  get path(): string {
    return this.#ctx.path
  }

  get clientIp(): string | undefined {
    return this.#ctx.clientIp
  }

  get now(): number {
    return this.#ctx.now
  }
}
