/** Marks an API and its guards, for `check()`; shared between copies of the package. */
export const GUARD: unique symbol = Symbol.for('secure-api.guard') as never

/** Which API let requests in here, and what is added. The API itself adds nothing. */
export interface GuardMark {
  readonly by: object
  readonly settings: Readonly<Record<string, unknown>>
}

/** The mark of an API or a guard; `undefined` for other handlers. */
export function markOf(handler: unknown): GuardMark | undefined {
  return (handler as { [GUARD]?: GuardMark })[GUARD]
}
