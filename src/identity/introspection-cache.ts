import type { Clock } from '../kernel/ports.js'
import { Generations } from '../lib/generations.js'
import type { Fault } from './faults.js'
import type { ActiveToken } from './introspection-answer.js'

/** What is known of a token, and until when on the clock that does not jump. */
interface Known<T> {
  readonly answer: T
  readonly until: number
}

/** A token that is not good now may be good in a moment, if its issuer is many machines. */
const MAX_REFUSED_MS = 5_000

/**
 * Remembers answers, for a while and in bounded memory. What is good and what is not have rooms of their own, so that no
 * flood of made-up tokens pushes out what is used.
 */
export class IntrospectionCache {
  private readonly good: Generations<string, Known<ActiveToken>>
  private readonly bad: Generations<string, Known<Fault>>

  constructor(
    entries: number,
    private readonly forMs: number,
  ) {
    const most = forMs === 0 ? 0 : entries
    this.good = new Generations(most)
    this.bad = new Generations(most)
  }

  get(digest: string, clock: Clock): ActiveToken | Fault | undefined {
    const known = this.good.get(digest) ?? this.bad.get(digest)
    if (known === undefined || clock.monotonic() >= known.until) return undefined
    const { answer } = known
    // Never past its end, whatever clocks are allowed to differ: then the issuer has to say so again.
    if (typeof answer !== 'string' && clock.now() / 1000 >= answer.validity.expiresAt) return undefined
    return answer
  }

  set(digest: string, answer: ActiveToken | Fault, clock: Clock): void {
    const now = clock.monotonic()
    if (typeof answer === 'string') {
      this.good.delete(digest)
      this.bad.set(digest, { answer, until: now + Math.min(this.forMs, MAX_REFUSED_MS) })
      return
    }
    this.bad.delete(digest)
    this.good.set(digest, { answer, until: now + this.forMs })
  }

  clear(): void {
    this.good.clear()
    this.bad.clear()
  }
}
