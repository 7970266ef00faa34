import { func, integer, knownKeys, membersOf, quoted, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import { isGone } from '../kernel/is-gone.js'
import type { Later } from '../kernel/ports.js'
import { refuse, type Problem } from '../kernel/problem.js'
import type { Stage, StageMiddleware } from '../kernel/stage.js'
import type { ParamsOf } from '../kernel/validated-params.js'
import { isStrayPromise, isThenable } from '../lib/when.js'
import { RequestFacts, type AccessFacts, type OwnResource } from './access-facts.js'
import { brokenUnlessAway, inItsTime } from './answers.js'
import { unauthenticated } from './unauthenticated.js'

/** What a policy says, where yes or no is not all there is to say. `rule` and `reason` go on record, and never to the caller. */
export interface PolicyVerdict {
  readonly allow: boolean
  /** Which rule decided. Default: the name of the policy. */
  readonly rule?: string | undefined
  /** One sentence of why, without anything secret. */
  readonly reason?: string | undefined
}

type Said = boolean | PolicyVerdict

/**
 * Whether a caller may do this, by nothing but the facts: `true`, `false`, or a verdict that says why; at once or by a promise.
 * Anything else, and whatever it throws, is 500 `broken`.
 */
export type AccessPolicy = {
  // As a method, it may name the type of the resource that it knows to be there.
  ask(facts: AccessFacts): Said | PromiseLike<Said>
}['ask']

/** Policies by name. All must allow. */
export type AccessPolicies = Readonly<Record<string, AccessPolicy>>

/** Policies with their options. */
export interface PolicyOptions {
  /** All must allow; they are asked in this order until one says no: 403 `forbidden`. Required. */
  rules: AccessPolicies
  /** How long all of them together may take, in milliseconds. Default 1,000. Later: 503 `policy-unavailable`. */
  timeoutMs?: number
}

/**
 * Lets a request through only if every policy allows it: functions of the caller, the validated input, the time, the client
 * and the loaded resource. Without a principal: 401 `unauthenticated`. One says no: 403 `forbidden`, with its name and reason
 * on record only. No answer in time: 503 `policy-unavailable`; a store that is away: 503 `store-unavailable`; broken: 500.
 *
 * @example
 * app.post('/transfers', policy({ 'own-region': ({ principal, body }) => body.region === principal.claims.region }), transfer)
 * @throws ConfigError for what is no function, and for an empty list
 */
export const policy = defineStage('policy', (setting: AccessPolicies | PolicyOptions): Omit<Stage, 'name'> =>
  stageOf(compile('policy', setting, 'handler')),
)

/**
 * The stage of a setting that stands in `secureApi()`.
 *
 * @param option names it in messages: `routes['POST /orders'].policy`
 * @param own what the `ownership` beside it loads
 */
export function policyWith(
  setting: AccessPolicies | PolicyOptions,
  option: string,
  paramsOf: ParamsOf,
  own: OwnResource | undefined,
): StageMiddleware {
  return compiled({ ...compile(option, setting, paramsOf), own })
}

const compiled = defineStage('policy', (policies: CompiledPolicies) => stageOf(policies))

interface Rule {
  readonly name: string
  readonly ask: (facts: RequestFacts) => unknown
}

interface CompiledPolicies {
  readonly rules: readonly Rule[]
  readonly timeoutMs: number
  readonly paramsOf: ParamsOf
  readonly own?: OwnResource | undefined
}

function compile(
  option: string,
  setting: AccessPolicies | PolicyOptions,
  paramsOf: ParamsOf,
): CompiledPolicies {
  const { at, rules, timeoutMs } = hasRules(setting)
    ? { at: `${option}.rules`, timeoutMs: 1_000, ...checked(option, setting) }
    : { at: option, rules: setting, timeoutMs: 1_000 }
  const members = membersOf(at, rules, 'of policies by name')
  if (members.length === 0)
    throw new ConfigError(
      `${at} has no policy, and what nobody asks nobody forbids; write one, or leave it out`,
    )
  return {
    rules: members.map(([name, ask]) => {
      if (!NAME.test(name))
        throw new ConfigError(
          `${at} has a policy named ${quoted(name)}; a name must have 1 to 100 characters, none of them a control character`,
        )
      return { name, ask: func(`${at}[${quoted(name)}]`, ask) as Rule['ask'] }
    }),
    timeoutMs: integer(`${option}.timeoutMs`, timeoutMs, { max: 60_000 }),
    paramsOf,
  }
}

const NAME = /^[^\p{C}]{1,100}$/u

/** A policy may be named `rules`; then it is a function. */
function hasRules(setting: unknown): setting is PolicyOptions {
  if (typeof setting !== 'object' || setting === null || Array.isArray(setting)) return false
  return Object.hasOwn(setting, 'rules') && typeof (setting as { rules: unknown }).rules !== 'function'
}

function checked(option: string, options: PolicyOptions): { rules: AccessPolicies; timeoutMs?: number } {
  knownKeys(option, options, ['rules', 'timeoutMs'], ['rules'])
  const { rules, timeoutMs } = options
  return { rules, ...(timeoutMs !== undefined && { timeoutMs }) }
}

function stageOf({ rules, timeoutMs, paramsOf, own }: CompiledPolicies): Omit<Stage, 'name'> {
  const names = rules.map(({ name }) => name)
  const text = names.join(' and ')
  const deadline = { timeoutMs, code: 'policy-unavailable', rule: 'policy-timeout' } as const

  /** From the one on whose answer somebody has to wait. */
  const wait = async (
    ctx: SecurityContext,
    facts: RequestFacts,
    from: number,
    answer: PromiseLike<unknown>,
    waiting: { isOver: boolean },
  ): Promise<Problem | undefined> => {
    let said: unknown = answer
    for (let i = from; ; said = rules[i]!.ask(facts)) {
      const refusal = refusalBy(ctx, rules[i]!.name, await said)
      if (refusal !== undefined || ++i === rules.length) return refusal
      if (waiting.isOver || isGone(ctx)) return refuse('policy-unavailable', NOBODY_WAITS)
    }
  }

  const decide = (ctx: SecurityContext, facts: RequestFacts): Later<Problem | undefined> => {
    for (let i = 0; i < rules.length; i++) {
      const { name, ask } = rules[i]!
      const said = ask(facts)
      if (isThenable(said)) {
        const waiting = { isOver: false }
        const expired = () => void (waiting.isOver = true)
        return inItsTime(ctx, deadline, wait(ctx, facts, i, said, waiting), expired)
      }
      const refusal = refusalBy(ctx, name, said)
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  const conclude = (ctx: SecurityContext, refusal: Problem | undefined): Problem | undefined => {
    if (refusal !== undefined) return refusal
    ctx.decided = true
    if (ctx.rule === undefined) ctx.note(text, 'every policy allows it')
    return undefined
  }

  return {
    needs: ['principal'],
    decides: true,
    timeoutMs: false,
    enter(ctx) {
      const { principal } = ctx
      if (principal === undefined) return unauthenticated(ctx, text)
      try {
        const refusal = decide(ctx, new RequestFacts(ctx, principal, paramsOf, own))
        return isThenable(refusal) ? refusal.then((late) => conclude(ctx, late)) : conclude(ctx, refusal)
      } catch (error) {
        return brokenUnlessAway(error)
      }
    },
    describe: () => ({ rules: names, timeoutMs }),
  }
}

const NOBODY_WAITS = { rule: 'policy-timeout', reason: 'nobody waits for the answer any more' }

/** What an answer means. @throws TypeError for what is neither yes nor no: truth by accident lets nobody in */
function refusalBy(ctx: SecurityContext, name: string, said: unknown): Problem | undefined {
  if (said === true) return undefined
  if (said === false) return refuse('forbidden', { rule: name, reason: 'the policy says no' })
  const { allow, rule, reason } = verdictIn(name, said)
  if (!allow) return refuse('forbidden', { rule: rule ?? name, reason: reason ?? 'the policy says no' })
  if (rule !== undefined || reason !== undefined) ctx.note(rule ?? name, reason)
  return undefined
}

function verdictIn(name: string, said: unknown): PolicyVerdict {
  // What a prototype says is nobody's verdict.
  if (typeof said === 'object' && said !== null && Object.hasOwn(said, 'allow')) {
    const allow: unknown = (said as PolicyVerdict).allow
    if (isStrayPromise(allow))
      throw new TypeError(
        `The policy ${quoted(name)} answered { allow } with a promise in it; await it there`,
      )
    const [rule, reason] = [textIn(said, 'rule'), textIn(said, 'reason')]
    if (typeof allow === 'boolean' && rule !== null && reason !== null) return { allow, rule, reason }
  }
  throw new TypeError(
    `The policy ${quoted(name)} must answer true, false or { allow, rule, reason }, got ${show(said)}`,
  )
}

/** `null` for what is there and no text. */
function textIn(said: object, name: 'rule' | 'reason'): string | undefined | null {
  const value: unknown = Object.hasOwn(said, name) ? (said as Record<string, unknown>)[name] : undefined
  return value === undefined || typeof value === 'string' ? value : null
}
