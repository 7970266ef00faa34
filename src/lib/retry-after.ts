/** The value of `Retry-After`: whole seconds, never early (RFC 9110 section 10.2.3). */
export function retryAfter(ms: number): string {
  return String(Math.max(Math.ceil(ms / 1000), 1))
}
