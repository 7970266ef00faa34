import { hash } from 'node:crypto'
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { CounterStore, Hit, HitResult, Policy } from '../kernel/ports.js'
import type { ScriptRunner } from './redis-client.js'
import { consumeFixed, countAll, type Script } from './redis-scripts.js'

/** Counters in Redis. One fixed window goes through rate-limiter-flexible; what it lacks is one script. */
export class RedisCounters implements CounterStore {
  private readonly limiters = new WeakMap<Policy, RateLimiterRedis>()
  private readonly prefixes = new WeakMap<Policy, string>()

  constructor(
    private readonly runner: ScriptRunner,
    private readonly prefix: string,
  ) {}

  /** `now` is not asked for: the clock of Redis is the one that all processes share. */
  hit(hits: readonly Hit[]): Promise<readonly HitResult[]> {
    const [first] = hits
    if (hits.length === 1 && isForLibrary(first!)) return this.consume(first!).then((result) => [result])
    if (this.runner.cluster) return this.countBySlot(hits)
    return this.count(hits)
  }

  private async count(hits: readonly Hit[]): Promise<readonly HitResult[]> {
    const keys = hits.map((hit) => this.keyOf(hit))
    const args = hits.flatMap(({ policy: { algorithm, limit, windowMs }, cost }) => [
      algorithm,
      String(limit),
      String(windowMs),
      String(cost),
    ])
    const answers = await this.numbersFrom(countAll, keys, args, 4 * hits.length)
    return hits.map((_, i) => ({
      allowed: admitted(answers[4 * i]!),
      left: answers[4 * i + 1]!,
      refillMs: answers[4 * i + 2]!,
      retryMs: answers[4 * i + 3]!,
    }))
  }

  /** In a cluster, hits of one client travel in one call, and those of several clients in calls side by side. */
  private async countBySlot(hits: readonly Hit[]): Promise<readonly HitResult[]> {
    const results = new Array<HitResult>(hits.length)
    const clients = [...new Set(hits.map(({ key }) => key))]
    await Promise.all(
      clients.map(async (client) => {
        const places = [...hits.keys()].filter((i) => hits[i]!.key === client)
        const counted = await this.count(places.map((i) => hits[i]!))
        places.forEach((place, i) => (results[place] = counted[i]!))
      }),
    )
    return results
  }

  private async consume(hit: Hit): Promise<HitResult> {
    const { limit, windowMs } = hit.policy
    // How far beyond the limit makes no difference, and sums must stay exact.
    const cost = Math.min(hit.cost, limit + 1)
    try {
      const result = await this.limiterOf(hit.policy).consume(this.keyOf(hit), cost)
      return { allowed: true, left: result.remainingPoints, refillMs: result.msBeforeNext, retryMs: 0 }
    } catch (over) {
      // It rejects alike for a limit that is exceeded and for a store that failed.
      if (!(over instanceof RateLimiterRes)) throw over
      const refillMs = over.msBeforeNext
      const left = limit - (over.consumedPoints - cost)
      return { allowed: false, left, refillMs, retryMs: cost > limit ? windowMs : refillMs }
    }
  }

  private limiterOf(policy: Policy): RateLimiterRedis {
    let limiter = this.limiters.get(policy)
    if (limiter === undefined) {
      limiter = new RateLimiterRedis({
        // The library would add a command to the user's client, under a name that the user's own limiters share.
        storeClient: {
          defineCommand: () => undefined,
          rlflxIncr: ([key, ...args]: [string, ...string[]]) =>
            this.numbersFrom(consumeFixed, [key], args, 2),
        },
        keyPrefix: '',
        points: policy.limit,
        duration: policy.windowMs / 1000,
      })
      this.limiters.set(policy, limiter)
    }
    return limiter
  }

  private async numbersFrom(script: Script, keys: readonly string[], args: readonly string[], count: number) {
    const reply = await this.runner.run(script, keys, args)
    if (Array.isArray(reply) && reply.length === count) return reply.map(integerOf)
    throw anotherShape()
  }

  /**
   * What a client sent is hashed, so that it can be neither a separator nor longer than it should be. The hash is also the
   * cluster's hash tag: all limits of one client lie in one slot.
   */
  private keyOf({ policy, key }: Hit): string {
    let prefix = this.prefixes.get(policy)
    if (prefix === undefined) {
      const { scope, name, algorithm, windowMs } = policy
      prefix = `${this.prefix}:${[scope, name].map(encodeURIComponent).join(':')}:${algorithm}:${windowMs}:`
      this.prefixes.set(policy, prefix)
    }
    return `${prefix}{${hash('sha256', key, 'base64url')}}`
  }
}

/** The library knows fixed windows of a second and more. */
function isForLibrary({ policy: { algorithm, windowMs } }: Hit): boolean {
  return algorithm === 'fixed' && windowMs >= 1000
}

/** Clients can be set to answer with strings. `Number` would take nothing, `null` and `''`, for 0, which admits. */
function integerOf(value: unknown): number {
  const number = typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw anotherShape()
  return number
}

function admitted(flag: number): boolean {
  if (flag !== 0 && flag !== 1) throw anotherShape()
  return flag === 1
}

function anotherShape(): TypeError {
  return new TypeError('Redis gave an answer of another shape than the script')
}
