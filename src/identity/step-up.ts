import type { Authentication } from '../kernel/authentication.js'
import { challengesOf } from '../kernel/challenges.js'
import { defineStage } from '../kernel/define.js'
import { refuse, type Problem } from '../kernel/problem.js'
import type { Stage } from '../kernel/stage.js'
import { extendChallenge } from '../lib/challenge.js'
import { unauthenticated } from './auth-refusals.js'
import { prepareStepUp, type StepUpOptions, type StepUpRules } from './step-up-options.js'

export { mergeStepUp, type StepUpOptions } from './step-up-options.js'

/**
 * Asks for fresh or stronger authentication (RFC 9470, ASVS 7.5.3). Not fresh, not strong enough, or nothing is known about it: 401
 * `insufficient-user-authentication`, with `acr_values` and `max_age` in the challenge. Anonymous: 401 `unauthenticated`.
 *
 * @example
 * app.post('/payouts', api.guard({ stepUp: { amr: [['otp', 'hwk']], maxAgeSeconds: 300 } }), pay)
 * @throws ConfigError for what asks for nothing, and for what no challenge could ask for
 */
export const stepUp = defineStage('stepUp', (options: StepUpOptions): Omit<Stage, 'name'> => {
  const rules = prepareStepUp(options)
  const insufficient = refusals(rules)

  return {
    needs: ['principal'],

    enter(ctx) {
      const { principal } = ctx
      const offered = challengesOf(ctx)
      if (principal === undefined) return unauthenticated(offered)
      const lack = lackOf(rules, principal.authentication, ctx.services.clock.now() / 1000)
      if (lack !== undefined) return insufficient(lack, offered)
      ctx.note('authentication', 'the caller authenticated as this route asks')
    },

    describe: () => ({
      ...(rules.acr !== undefined && { acr: rules.acr }),
      ...(rules.amr.length > 0 && { amr: rules.amr }),
      ...(rules.maxAgeSeconds !== Infinity && { maxAgeSeconds: rules.maxAgeSeconds }),
      clockToleranceSeconds: rules.clockToleranceSeconds,
    }),
  }
})

/** What is not as it should be: the rule in the audit log, and what is told of it. */
const lacks = {
  'authentication-unknown': 'How and when the caller authenticated is not known',
  'authentication-level': 'A different authentication level is required',
  'authentication-method': 'Another authentication method is required',
  'authentication-age': 'More recent authentication is required',
} as const

type Lack = keyof typeof lacks

function lackOf(
  { acr, amr, maxAgeSeconds, clockToleranceSeconds }: StepUpRules,
  authentication: Authentication | undefined,
  now: number,
): Lack | undefined {
  if (authentication === undefined) return 'authentication-unknown'
  const { at, factors = NONE } = authentication
  const isFresh = (time: number | undefined): boolean =>
    maxAgeSeconds === Infinity ||
    (time !== undefined && now - time <= maxAgeSeconds && time - now <= clockToleranceSeconds)

  if (acr !== undefined) {
    if (authentication.acr === undefined || !acr.includes(authentication.acr)) return 'authentication-level'
    // A level has no time of its own: a single factor that was shown since does not bring the whole of it back.
    if (!isFresh(at)) return 'authentication-age'
  }
  for (const methods of amr) {
    const times = methods.flatMap((method) => timesOf(method, authentication))
    if (times.length === 0) return 'authentication-method'
    if (!times.some(isFresh)) return 'authentication-age'
  }
  return isFresh(at) || factors.some((factor) => isFresh(factor.at)) ? undefined : 'authentication-age'
}

const NONE = [] as const

/** When a method was used: what it says of itself, or else the time of the whole. */
function timesOf(method: string, { at, amr, factors = NONE }: Authentication): (number | undefined)[] {
  const times = factors.filter((factor) => factor.method === method).map((factor) => factor.at)
  return times.length === 0 && amr.includes(method) ? [at] : times
}

/** Written once at start, as far as it does not depend on what was offered. */
function refusals(rules: StepUpRules): (lack: Lack, offered: readonly string[]) => Problem {
  const { acr, amr, maxAgeSeconds } = rules
  const maxAge = maxAgeSeconds === Infinity ? undefined : maxAgeSeconds
  const members = {
    ...(acr !== undefined && { acr_values: acr }),
    ...(amr.length > 0 && { amr_values: amr }),
    ...(maxAge !== undefined && { max_age: maxAge }),
  }
  return (lack, offered) => {
    const detail = lacks[lack]
    // RFC 9470 section 3: the error is one of access tokens. Where none are taken, the other ways in have to say it.
    const bearers = offered.filter((one) => /^(?:Bearer|DPoP)\b/i.test(one))
    return refuse('insufficient-user-authentication', {
      detail,
      rule: lack,
      reason: detail,
      members,
      headers: {
        'WWW-Authenticate': (bearers.length > 0 ? bearers : offered).map((one) =>
          extendChallenge(one, {
            error: 'insufficient_user_authentication',
            error_description: detail,
            acr_values: acr?.join(' '),
            max_age: maxAge?.toString(),
          }),
        ),
      },
    })
  }
}
