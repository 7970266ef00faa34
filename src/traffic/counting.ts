import type { SecurityContext } from '../kernel/context.js'
import { storeAway } from '../kernel/store-away.js'
import { isStoreUnavailable } from '../kernel/store-unavailable.js'
import { MemoryCounters } from '../kernel/memory.js'
import type { Hit, HitResult, Policy } from '../kernel/ports.js'
import { refuse, type Problem, type ProblemCode, type ProblemDetails } from '../kernel/problem.js'
import type { Finding, Stage, Verdict } from '../kernel/stage.js'
import { retryAfter } from '../lib/retry-after.js'
import { isThenable } from '../lib/when.js'
import { announcer, type Announce } from './announce.js'
import { checkLimits, costOf, keyOf, type CheckedLimit, type Limit, type Scope } from './limit.js'
import { OutageRecord } from './outage-record.js'
import { OverflowRecord } from './overflow-record.js'

interface Rule extends CheckedLimit {
  readonly announce: Announce
  readonly overflow: OverflowRecord
  readonly reason: string
}

/** A stage that counts. */
export interface CountingStage extends Omit<Stage, 'name'> {
  /** What it counts by; names must be unique within a pipeline. */
  readonly policies: readonly Policy[]
}

const IANA_QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded'

/** The one implementation behind `rateLimit` and `quota`. */
export function counting(limits: Limit | readonly Limit[], scope: Scope, code: ProblemCode): CountingStage {
  const rules = checkLimits(limits, scope).map((limit): Rule => ({
    ...limit,
    announce: announcer(limit),
    overflow: new OverflowRecord(limit),
    reason: `The limit "${limit.name}" is exceeded.`,
  }))
  const insurance = new MemoryCounters()
  const outages = new OutageRecord(rules)

  /** Every limit is announced, also behind one that is exceeded: the client must know how long to stay away. */
  function judge(
    ctx: SecurityContext,
    counted: readonly Rule[],
    hits: readonly Hit[],
    results: readonly HitResult[],
    rule: string,
  ): Verdict {
    let violated: Rule[] | undefined
    /** `undefined`: for ever. */
    let retryMs: number | undefined = 0
    for (let i = 0; i < counted.length; i++) {
      const result = results[i]!
      counted[i]!.announce(ctx, result)
      if (result.overflow) counted[i]!.overflow.happened(ctx)
      if (result.allowed) continue
      ;(violated ??= []).push(counted[i]!)
      if (hits[i]!.cost > hits[i]!.policy.limit) retryMs = undefined
      else if (retryMs !== undefined) retryMs = Math.max(retryMs, result.retryMs)
    }
    if (violated === undefined) return ctx.note(rule)
    return exceeded(code, violated, retryMs)
  }

  function withoutStore(
    ctx: SecurityContext,
    counted: readonly Rule[],
    hits: readonly Hit[],
    error: unknown,
  ): Verdict {
    // Anything else is a defect, and must show as one.
    if (!isStoreUnavailable(error)) throw error
    outages.failed(ctx, error)
    if (counted.some(({ whenStoreFails }) => whenStoreFails === 'closed')) {
      const reason = 'The counters cannot be reached, and a limit is closed without them.'
      return storeAway(error.retryMs, reason)
    }
    const local = (rule: Rule) => rule.whenStoreFails === 'local'
    const rest = counted.filter(local)
    if (rest.length === 0)
      return ctx.note('uncounted', 'The counters cannot be reached, and the limits are open without them.')
    const localHits = hits.filter((_, i) => local(counted[i]!))
    const results = insurance.hit(localHits, ctx.services.clock.monotonic())
    return judge(ctx, rest, localHits, results, 'within-local-limits')
  }

  return {
    policies: rules.map(({ name, policy }) => ({ ...policy, name })),
    timeoutMs: false,

    enter(ctx) {
      const counted: Rule[] = []
      const hits: Hit[] = []
      for (const rule of rules) {
        const key = keyOf(rule, ctx)
        if (key === undefined) continue
        counted.push(rule)
        hits.push({ policy: rule.policy, key, cost: costOf(rule, ctx) })
      }
      if (hits.length === 0) return ctx.note('uncounted', 'No limit has a key for this request.')

      const { counters, clock } = ctx.services
      const results = counters.hit(hits, clock.monotonic())
      if (!isThenable(results)) return judge(ctx, counted, hits, results, 'within-limits')
      return results.then(
        (late) => {
          outages.worked(ctx)
          return judge(ctx, counted, hits, late, 'within-limits')
        },
        (error: unknown) => withoutStore(ctx, counted, hits, error),
      )
    },

    describe: () =>
      rules.map(({ name, policy, cost, ownKey, whenStoreFails, headers, problemType }) => ({
        ...policy,
        name,
        cost: typeof cost === 'function' ? 'a function' : cost,
        key: ownKey ? 'a function' : scope.stage === 'quota' ? 'principal' : 'address',
        whenStoreFails,
        headers,
        problemType,
      })),

    findings: () => rules.filter(({ whenStoreFails }) => whenStoreFails === 'open').map(failsOpen),
  }
}

function exceeded(code: ProblemCode, violated: readonly Rule[], retryMs: number | undefined): Problem {
  const { name, reason } = violated[0]!
  const details: ProblemDetails = { rule: name, reason }
  // RFC 6585 section 4: it may be there, and says how long to wait. For nothing, nobody should.
  if (retryMs === undefined)
    details.detail = 'The request takes more units than the limit has; no waiting will help.'
  else details.headers = { 'Retry-After': retryAfter(retryMs) }
  if (violated.some(({ problemType }) => problemType === 'iana'))
    details.members = { type: IANA_QUOTA_EXCEEDED, 'violated-policies': violated.map((rule) => rule.name) }
  return refuse(code, details)
}

function failsOpen({ name, policy }: Rule): Finding {
  return {
    code: 'limit-fails-open',
    severity: 'medium',
    cause: `${policy.scope} "${name}" lets requests pass uncounted while the store cannot be reached`,
    fix: "leave out whenStoreFails, or write 'local' or 'closed'",
  }
}
