import { challengeFor } from '../kernel/challenges.js'
import { knownKeys } from '../kernel/check.js'
import type { SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import { refuse, type Problem } from '../kernel/problem.js'
import {
  CATALOGUE_KEYS,
  compileCatalogue,
  compileRule,
  type Catalogue,
  type CompiledCatalogue,
  type CompiledRule,
  type Rule,
} from '../kernel/rule.js'
import type { Finding, Stage, StageMiddleware } from '../kernel/stage.js'
import { extendChallenge } from '../lib/challenge.js'
import { unauthenticated } from './unauthenticated.js'

/** The general setting of the row: the catalogue that all rules share, and a rule for every route. */
export interface RbacSettings extends Catalogue {
  /** What every caller of every route must hold, besides what a route asks for. Default: nothing. */
  default?: Rule
}

/** A rule that stands alone together with its catalogue. */
export interface RbacOptions extends Catalogue {
  /** What a caller must hold. Missing: 403 `forbidden`, or 403 `insufficient-scope` if an access token lacks nothing but scopes. */
  require: Rule
}

/**
 * Refuses callers who do not hold what a rule asks for: 401 `unauthenticated` without a principal, 403
 * `insufficient-scope` with the challenge of RFC 6750 section 3.1 if an access token lacks nothing but scopes, and 403
 * `forbidden` otherwise. What was missing is put on record and not told to the caller.
 *
 * @example
 * app.get('/orders', auth([bearer({ issuer, audience })]), rbac('orders:read'), listOrders)
 * app.delete('/orders/:id', rbac({ require: 'orders:cancel', roles: { lead: ['orders:*'] } }), cancelOrder)
 */
export const rbac = defineStage('rbac', (setting: Rule | RbacOptions): Omit<Stage, 'name'> => {
  if (!hasRequire(setting)) return stageOf(compileRule('rbac', setting, compileCatalogue()))
  knownKeys('rbac', setting, REQUIRE_KEYS, REQUIRE_KEYS)
  return stageOf(compileRule('rbac.require', setting.require, compileCatalogue(setting)))
})

/**
 * The stage of one route or guard: its rule, in the words of the general setting's catalogue.
 *
 * @param option names the rule in messages: `routes["POST /orders"].rbac`
 */
export function rbacRule(
  rule: Rule,
  general: RbacSettings | CompiledCatalogue | undefined,
  option: string,
): StageMiddleware {
  return ruled(compileRule(option, rule, compileCatalogue(general)))
}

/** Checks the general setting. The stage of its `default` rule, or `undefined` if it is only a catalogue. */
export function rbacDefault(settings: RbacSettings): StageMiddleware | undefined {
  knownKeys('rbac', settings, DEFAULT_KEYS, DEFAULT_KEYS)
  const catalogue = compileCatalogue(settings)
  return settings.default === undefined
    ? undefined
    : ruled(compileRule('rbac.default', settings.default, catalogue))
}

const ruled = defineStage('rbac', (rule: CompiledRule) => stageOf(rule))

function stageOf(rule: CompiledRule): Omit<Stage, 'name'> {
  const text = rule.describe()
  const lacking = { rule: text, reason: 'the caller does not hold what the rule asks for' }

  return {
    needs: ['principal'],
    decides: true,
    enter(ctx) {
      if (ctx.principal === undefined) return unauthenticated(ctx, text)
      if (!rule.test(ctx)) {
        const scopes = ctx.principal.accessToken === true ? rule.missingScopes(ctx) : undefined
        return scopes === undefined ? refuse('forbidden', lacking) : insufficientScope(ctx, text, scopes)
      }
      ctx.decided = true
      ctx.note(text, 'the caller holds what the rule asks for')
    },
    describe: () => ({ rule: text }),
    findings: () => (rule.trivial && text !== 'authenticated' ? [trivial(text)] : []),
  }
}

const REQUIRE_KEYS = ['require', ...CATALOGUE_KEYS]
const DEFAULT_KEYS = ['default', ...CATALOGUE_KEYS]

function hasRequire(setting: unknown): setting is RbacOptions {
  return typeof setting === 'object' && setting !== null && Object.hasOwn(setting, 'require')
}

/** RFC 6750 section 3.1: the caller may ask its authorization server for a token with these scopes. */
function insufficientScope(ctx: SecurityContext, rule: string, scopes: readonly string[]): Problem {
  const scheme = /^dpop /i.test(ctx.req.headers.authorization ?? '') ? 'DPoP' : 'Bearer'
  return refuse('insufficient-scope', {
    headers: {
      'WWW-Authenticate': extendChallenge(challengeFor(ctx, scheme), {
        error: 'insufficient_scope',
        error_description: 'The access token lacks a required scope',
        scope: scopes.join(' '),
      }),
    },
    rule,
    reason: 'the token lacks nothing but scopes',
  })
}

function trivial(rule: string): Finding {
  return {
    code: 'rbac-rule-trivial',
    cause: `The rule "${rule}" lets every authenticated caller pass, because one of its alternatives is 'authenticated'.`,
    fix: `Remove 'authenticated' from the rule, or write rbac: 'authenticated' if that is meant.`,
    severity: 'medium',
  }
}
