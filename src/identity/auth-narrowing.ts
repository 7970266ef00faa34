import { challengesOf } from '../kernel/challenges.js'
import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { defineStage } from '../kernel/define.js'
import type { Stage } from '../kernel/stage.js'
import { proofs } from './auth.js'
import { checkLifetimes, limitedLifetimes } from './auth-lifetimes.js'
import { checkBound, NARROWING, type AuthNarrowing } from './auth-options.js'
import { dpopMode } from './dpop-options.js'
import { faults } from './faults.js'
import {
  judgeCertificate,
  judgeLifetime,
  notGoodEnough,
  otherMethod,
  unauthenticated,
} from './auth-refusals.js'

/**
 * Asks more of a caller that `auth` let in: the `auth` setting of a guard. Anonymous: 401 `unauthenticated`; proven by
 * another method, or by a credential that lives too long: 401 `invalid-token`. It never establishes a principal.
 *
 * @example
 * app.post('/payouts', api.guard({ auth: { maxLifetimeSeconds: 300 } }), pay)
 * @throws ConfigError for `optional: true`: a guard cannot loosen
 */
export const authNarrowing = defineStage('auth', (setting: AuthNarrowing): Omit<Stage, 'name'> => {
  knownKeys('auth', setting, NARROWING, NARROWING)
  const { methods, optional = false } = setting
  if (optional) {
    throw new ConfigError(
      'auth.optional cannot be true in a guard, which only tightens; write it in `routes`',
      'guard-loosens',
    )
  }
  if (methods !== undefined && !isListOfNames(methods)) {
    throw new ConfigError(`auth.methods must name at least one method, got ${show(methods)}`)
  }
  const lifetimes = checkLifetimes(setting)
  const certificateBound = checkBound(setting)
  const dpop = setting.dpop === undefined ? 'allowed' : dpopMode('auth.dpop', setting.dpop)
  if (dpop === 'off') {
    throw new ConfigError(
      "auth.dpop cannot be 'off' in a guard: the proof was checked before; write it in `routes`",
    )
  }

  return {
    needs: ['principal'],

    enter(ctx) {
      const { principal } = ctx
      const offered = challengesOf(ctx)
      if (principal === undefined) return unauthenticated(offered)

      const all = ctx.get(proofs)
      const proven = all?.[0] === principal ? all : [principal]
      if (methods !== undefined && !proven.some(({ method }) => methods.includes(method))) {
        return otherMethod(offered)
      }
      if (dpop === 'required' && !proven.some(({ bound }) => bound?.includes('dpop'))) {
        return notGoodEnough(proofsOf(offered), 'credential-unbound', faults['token-unbound'])
      }
      const unbound = certificateBound ? judgeCertificate(proven, offered) : undefined
      if (unbound !== undefined) return unbound
      for (const one of proven) {
        const tooLong = judgeLifetime(ctx, one, lifetimes, offered)
        if (tooLong !== undefined) return tooLong
      }
      ctx.note('principal', 'the caller was proven as this route asks')
    },

    describe: () => ({
      ...(methods !== undefined && { methods }),
      ...(dpop === 'required' && { dpop }),
      ...(certificateBound && { certificateBound }),
      ...limitedLifetimes(lifetimes),
    }),
  }
})

/** What is asked for is not offered by the other challenges. */
function proofsOf(offered: readonly string[]): readonly string[] {
  const proofs = offered.filter((one) => one.startsWith('DPoP '))
  return proofs.length === 0 ? offered : proofs
}

function isListOfNames(methods: unknown): boolean {
  return Array.isArray(methods) && methods.length > 0 && methods.every((name) => typeof name === 'string')
}
