import type { Clock } from '../kernel/ports.js'
import { Generations } from '../lib/generations.js'
import type { Fault } from './faults.js'
import type { ActiveToken } from './introspection-answer.js'

/** What is known of a token, until when on the clock that does not jump: in one piece, because it is read for every request. */
interface Good extends ActiveToken {
  readonly until: number
}

interface Bad {
  readonly fault: Fault
  readonly until: number
}

/** A token that is not good now may be good in a moment, if its issuer is many machines. */
const MAX_REFUSED_MS = 5_000

/**
 * Remembers answers, for a while and in bounded memory. What is good and what is not have rooms of their own, so that no
 * flood of made-up tokens pushes out what is used.
 */
export class IntrospectionCache {
  private readonly good: Generations<string, Good>
  private readonly bad: Generations<string, Bad>

  constructor(
    entries: number,
    private readonly forMs: number,
  ) {
    const most = forMs === 0 ? 0 : entries
    this.good = new Generations(most)
    this.bad = new Generations(most)
  }

  /** @param now milliseconds since 1970, by this clock */
  get(digest: string, clock: Clock, now: number): ActiveToken | Fault | undefined {
    const good = this.good.get(digest)
    if (good !== undefined) {
      // Never past its end, whatever clocks are allowed to differ: then the issuer has to say so again.
      return now / 1000 < good.validity.expiresAt && clock.monotonic() < good.until ? good : undefined
    }
    const bad = this.bad.get(digest)
    return bad !== undefined && clock.monotonic() < bad.until ? bad.fault : undefined
  }

  set(digest: string, answer: ActiveToken | Fault, clock: Clock): void {
    const now = clock.monotonic()
    if (typeof answer === 'string') {
      this.good.delete(digest)
      this.bad.set(digest, { fault: answer, until: now + Math.min(this.forMs, MAX_REFUSED_MS) })
      return
    }
    this.bad.delete(digest)
    const { validity, header, payload, principal } = answer
    this.good.set(digest, { validity, header, payload, principal, until: now + this.forMs })
  }

  clear(): void {
    this.good.clear()
    this.bad.clear()
  }
}
