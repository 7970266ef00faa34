import { hash } from 'node:crypto'
import { fieldCount } from '../kernel/field-count.js'
import { slot, type SecurityContext } from '../kernel/context.js'
import type { Later } from '../kernel/ports.js'
import { Generations } from '../lib/generations.js'
import { when } from '../lib/when.js'
import type { DpopFault } from './dpop-faults.js'
import { ServerNonces } from './dpop-nonces.js'
import type { DpopRules } from './dpop-options.js'
import { importKey, readHead, readProof, type ProofClaims, type ReadProof } from './dpop-proof.js'
import { isUrlUnder } from './dpop-url.js'
import type { VerificationKey } from './key-set.js'
import { isSignedBy, jose, jws } from './signature.js'

/** Whether a request proves that its client has a key: what is wrong, or that the proof needs a nonce. */
export type ProofOutcome = ProofRefusal | undefined
export type ProofRefusal = DpopFault | 'dpop-nonce' | 'dpop-binding'

/** A key that a client has shown to have: its thumbprint (RFC 7638). */
export interface ShownKey {
  readonly jkt: string
}

interface KnownHead extends VerificationKey, ShownKey {}

/** The proof that this very request has used: an API may ask about it twice. */
const used = slot<string>('dpop.used')
const SPACE = 'dpop-proof'

/**
 * Checks DPoP proofs (RFC 9449 section 4.3). What costs nothing comes first; the signature only counts under the key that the
 * token is bound to, and only a proof that holds is remembered as used.
 */
export class DpopProofs {
  private readonly heads: Generations<string, KnownHead>
  private readonly nonces: ServerNonces | undefined

  /** @param rememberedKeys for so many clients the key need not be imported again */
  constructor(
    private readonly rules: DpopRules,
    rememberedKeys: number,
  ) {
    this.heads = new Generations(rememberedKeys)
    const { nonce } = rules
    this.nonces = nonce && new ServerNonces(nonce.keys, nonce.lifetimeSeconds)
  }

  /**
   * @param digest SHA-256 of the access token, as `latin1`
   * @param jkt the thumbprint of the key that the token is bound to
   */
  check(ctx: SecurityContext, digest: string, jkt: string): Later<ProofOutcome> {
    return when(this.examine(ctx, digest, jkt), (shown) => (typeof shown === 'string' ? shown : undefined))
  }

  /** The key of a client that asks for a token, which is bound to nothing yet (RFC 9449 section 5). */
  shown(ctx: SecurityContext): Later<ShownKey | ProofRefusal> {
    return this.examine(ctx, undefined, undefined)
  }

  private examine(
    ctx: SecurityContext,
    digest: string | undefined,
    jkt: string | undefined,
  ): Later<KnownHead | ProofRefusal> {
    const { req } = ctx
    const sent = req.headers.dpop
    if (sent === undefined) return 'dpop-missing'
    if (fieldCount(req, 'dpop') > 1 || typeof sent !== 'string') return 'dpop-twice'
    const proof = readProof(sent)
    if (typeof proof === 'string') return proof
    const fault = this.judge(ctx, proof, digest)
    if (fault !== undefined) return fault

    return when(this.keyOf(proof.head, jkt), (known) => {
      if (typeof known === 'string') return known
      const signed = { text: proof.text, algorithm: known.algorithms[0]! }
      const good = isSignedBy([known], signed)
      return when(good, (yes) => (yes ? this.claim(ctx, proof, known) : 'dpop-signature'))
    })
  }

  /** The newest nonce, if proofs need one. */
  nonce({ services }: SecurityContext): string | undefined {
    return this.nonces?.current(services.clock.now())
  }

  async ready(): Promise<void> {
    await Promise.all([jose(), jws()])
  }

  clear(): void {
    this.heads.clear()
  }

  private judge(ctx: SecurityContext, { claims }: ReadProof, digest: string | undefined): ProofOutcome {
    const { maxAgeSeconds, bases } = this.rules
    if (digest !== undefined && claims.ath === undefined) return 'dpop-claims'
    if (claims.htm !== ctx.req.method) return 'dpop-method'
    if (!isUrlUnder(claims.htu, bases, ctx.path)) return 'dpop-url'
    if (digest !== undefined && claims.ath !== Buffer.from(digest, 'latin1').toString('base64url'))
      return 'dpop-token'

    const now = ctx.services.clock.now()
    const nonce = this.nonces?.judge(claims.nonce, now)
    if (nonce === 'foreign') return 'dpop-nonce'
    if (!isInTime(claims, now / 1000, maxAgeSeconds)) return 'dpop-time'
    // RFC 9449 section 8.2: a new one is told before the old one is refused.
    if (nonce === 'good') ctx.head.setHeader('DPoP-Nonce', this.nonces!.current(now))
    return undefined
  }

  /** @param jkt which one it has to be; `undefined` takes any */
  private keyOf(head: string, jkt: string | undefined): Later<KnownHead | ProofRefusal> {
    const known = this.heads.get(head)
    if (known !== undefined) return jkt === undefined || known.jkt === jkt ? known : 'dpop-binding'
    const read = readHead(head, this.rules.algorithms)
    if (typeof read === 'string') return read
    return when(jose(), async ({ calculateJwkThumbprint }) => {
      const shown = await calculateJwkThumbprint(read.jwk)
      if (jkt !== undefined && shown !== jkt) return 'dpop-binding'
      const key = importKey(read)
      if (key === undefined) return 'dpop-key'
      const found = { algorithms: [read.algorithm], jkt: shown, key }
      // A copy: a part of the proof's text would hold on to the whole of it.
      this.heads.set(Buffer.from(head, 'latin1').toString('latin1'), found)
      return found
    })
  }

  /** RFC 9449 section 11.1. Only a hash is kept, and nobody can use up a name in the place of another key. */
  private claim(
    ctx: SecurityContext,
    { claims }: ReadProof,
    known: KnownHead,
  ): Later<KnownHead | ProofRefusal> {
    const { store, maxAgeSeconds } = this.rules
    const { services } = ctx
    const key = hash('sha256', `${known.jkt} ${claims.jti}`, 'base64url')
    if (ctx.get(used) === key) return known
    const once = store === undefined ? services.once : services.portsOf(store).once
    // As long as it could be sent again, here or where the clock is behind.
    const keepSeconds = claims.iat - services.clock.now() / 1000 + 2 * maxAgeSeconds
    return when(once.claim(SPACE, key, Math.ceil(keepSeconds * 1000)), (first) => {
      if (!first) return 'dpop-replayed'
      ctx.set(used, key)
      return known
    })
  }
}

function isInTime({ iat, exp = Infinity, nbf = iat }: ProofClaims, now: number, tolerance: number): boolean {
  return Math.abs(now - iat) <= tolerance && now < exp + tolerance && nbf <= now + tolerance
}
