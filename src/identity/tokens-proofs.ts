import { membersOf } from '../kernel/check.js'
import type { Store } from '../kernel/ports.js'
import type { BearerOptions } from './bearer-options.js'
import { ClientKeys } from './client-key.js'
import { dpopMode, prepareDpop, type DpopMode, type DpopOptions } from './dpop-options.js'
import { whyNotTrusted } from './endpoint.js'

/** Whether and how tokens are bound to a key of their client. */
export interface TokensProofs {
  readonly clientKeys: ClientKeys
  /** What `bearer` has to have of it, so that both look at proofs in one way. */
  readonly proofs: Pick<BearerOptions, 'dpop' | 'allowInsecureLoopback'>
}

/** @throws ConfigError for what says neither whether nor how */
export function tokensProofs(
  given: DpopMode | DpopOptions | undefined,
  issuer: string,
  store: Store,
): TokensProofs {
  if (given === undefined) return { clientKeys: new ClientKeys(undefined), proofs: {} }
  const options = typeof given === 'string' ? { mode: dpopMode('tokens.dpop', given) } : given
  membersOf('tokens.dpop', options)
  const { baseUrls = URL.canParse(issuer) ? new URL(issuer).origin : issuer } = options
  const dpop = { ...(store.once !== undefined && { store }), ...options, baseUrls }
  // An issuer on this machine, to try it out, cannot have another place than that.
  const allowInsecureLoopback =
    issuer.startsWith('http:') && whyNotTrusted(issuer, { allowInsecureLoopback: true }) === undefined
  const rules = prepareDpop('tokens.dpop', dpop, { allowInsecureLoopback, resource: undefined })
  return {
    clientKeys: new ClientKeys(rules),
    proofs: { dpop, ...(allowInsecureLoopback && { allowInsecureLoopback }) },
  }
}
