import { prepareAuth, type AuthSetting, type PreparedAuth } from './auth-options.js'
import type { Method } from './method.js'

/** Whether callers may be known by several authorities, as far as settings tell: two of them may know two people by one subject (ASVS 6.8.1). */
export function severalIssuers(auth: AuthSetting | false | undefined): boolean {
  return auth !== undefined && auth !== false && knowsSeveral(prepareAuth(auth))
}

/** The same, of a setting that is checked. */
export function knowsSeveral({ methods, every }: Pick<PreparedAuth, 'methods' | 'every'>): boolean {
  // Where all must succeed, the first one says who it is.
  const naming = every ? methods.slice(0, 1) : methods
  return naming.length > 1 || naming.some(hasSeveral)
}

function hasSeveral(method: Method): boolean {
  const { issuers } = Object(method.describe?.()) as { issuers?: unknown }
  return Array.isArray(issuers) && issuers.length > 1
}
