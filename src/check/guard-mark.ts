/**
 * The property by which `check()` knows an API and its guards, also those of another copy of the package. Its key is
 * text, because what tracing tools wrap around middleware passes on such properties only.
 */
export const GUARD = 'secure-api.guard'

/** Which API lets requests in here, and what a guard adds. The API itself adds nothing. */
export interface GuardMark {
  readonly by: object
  readonly settings: Readonly<Record<string, unknown>> | undefined
}

/** The mark of an API or a guard; `undefined` for other handlers. */
export function markOf(handler: unknown): GuardMark | undefined {
  return (handler as { [GUARD]?: GuardMark })[GUARD]
}
