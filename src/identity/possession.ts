import type { SecurityContext } from '../kernel/context.js'
import type { Later } from '../kernel/ports.js'
import type { Problem } from '../kernel/problem.js'
import type { Binding } from './binding.js'
import type { CertificateReader } from './client-certificate.js'
import type { DpopProofs } from './dpop.js'
import type { DpopMode } from './dpop-options.js'
import type { Fault } from './faults.js'
import type { IssuerTerms } from './issuer-terms.js'
import { schemeOf } from './sent-token.js'
import { whenStored } from '../kernel/store-away.js'
import type { TokenRefusals } from './token-refusals.js'

const AWAY = 'The store of the DPoP proofs that were used cannot be reached'

/** Whether whoever sent a token has the key that it is bound to: a stolen one must be worth nothing. */
export class Possession {
  constructor(
    private readonly mode: DpopMode,
    private readonly proofs: DpopProofs | undefined,
    private readonly refusals: TokenRefusals,
    private readonly certificates: CertificateReader,
  ) {}

  /**
   * @param digest SHA-256 of the token, as `latin1`
   * @param terms what its issuer's tokens have to be, besides what this route asks for
   */
  check(
    ctx: SecurityContext,
    digest: string,
    binding: Binding,
    terms: IssuerTerms,
  ): Later<Problem | undefined> {
    const { refusals, mode, proofs } = this
    const { req } = ctx
    const { jkt, x5t } = binding
    const unseen = this.checkCertificate(ctx, x5t, terms.certificateBound)
    if (unseen !== undefined) return refusals.because(unseen, req)
    if (schemeOf(req) === 'bearer') {
      // RFC 9449 section 7.2: whoever stole a bound token must not get in by calling it a bearer token.
      if (jkt !== undefined) return refusals.because('token-bound', req)
      return mode === 'required' || terms.dpop === 'required'
        ? refusals.because('token-unbound', req)
        : undefined
    }
    if (jkt === undefined || proofs === undefined) return refusals.because('token-unbound', req)
    if (terms.dpop === 'off') return refusals.because('token-bound', req)
    return whenStored(proofs.check(ctx, digest, jkt), AWAY, (outcome) => {
      if (outcome === undefined) return undefined
      if (outcome === 'dpop-nonce') return refusals.nonceNeeded(proofs.nonce(ctx)!)
      return refusals.because(outcome, req)
    })
  }

  /** RFC 8705 section 3. That the client has the key, TLS has proven; who issued the certificate makes no difference. */
  private checkCertificate(
    ctx: SecurityContext,
    x5t: string | undefined,
    required: boolean,
  ): Fault | undefined {
    if (x5t === undefined) return required ? 'token-unbound' : undefined
    const shown = this.certificates.read(ctx)
    if (typeof shown === 'string') return 'certificate-missing'
    return shown.x5t === x5t ? undefined : 'certificate-binding'
  }
}
