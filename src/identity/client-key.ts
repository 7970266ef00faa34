import type { SecurityContext } from '../kernel/context.js'
import type { Later } from '../kernel/ports.js'
import { refuse, type Problem } from '../kernel/problem.js'
import type { SigningAlgorithm } from './algorithms.js'
import { dpopFaults, type DpopFault } from './dpop-faults.js'
import { DpopProofs } from './dpop.js'
import type { DpopRules } from './dpop-options.js'
import { whenStored } from '../kernel/store-away.js'

/** For so many clients the key need not be imported again. */
const REMEMBERED_KEYS = 1_000
const AWAY = 'The store of the DPoP proofs that were used cannot be reached'

/** The keys that clients show where they ask for tokens, which are bound to them then (RFC 9449 section 5). */
export class ClientKeys {
  private readonly proofs: DpopProofs | undefined

  /** @param rules `undefined`: nothing is bound, whatever is sent */
  constructor(private readonly rules: DpopRules | undefined) {
    this.proofs = rules && new DpopProofs(rules, REMEMBERED_KEYS)
  }

  /** Whether proofs are looked at. */
  get isOn(): boolean {
    return this.proofs !== undefined
  }

  /** Whether tokens are given to nobody without one. */
  get required(): boolean {
    return this.rules?.mode === 'required'
  }

  /** How proofs may be signed; `undefined` where none are looked at. */
  get algorithms(): readonly SigningAlgorithm[] | undefined {
    return this.rules?.algorithms
  }

  /** The thumbprint of the key that a request proves to have; `undefined` where it shows none, and need not. */
  shownBy(ctx: SecurityContext): Later<string | undefined | Problem> {
    const { proofs } = this
    if (proofs === undefined || (ctx.req.headers.dpop === undefined && !this.required)) return undefined
    return whenStored(proofs.shown(ctx), AWAY, (shown) => {
      if (typeof shown === 'object') return shown.jkt
      return shown === 'dpop-nonce' ? this.nonceNeeded(ctx) : keyRefused(shown as DpopFault)
    })
  }

  private nonceNeeded(ctx: SecurityContext): Problem {
    return refuse('use-dpop-nonce', {
      detail: 'The DPoP proof must have the nonce that this server gives',
      rule: 'dpop-nonce',
      headers: { 'DPoP-Nonce': this.proofs!.nonce(ctx)! },
    })
  }
}

export function keyRefused(fault: DpopFault): Problem {
  return refuse('invalid-dpop-proof', { detail: dpopFaults[fault], rule: fault, reason: dpopFaults[fault] })
}
