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

/** Remembers which tokens are good, of whichever issuer, for a while and in bounded memory. */
export class GoodAnswers {
  private readonly good: Generations<string, Good>

  constructor(entries: number) {
    this.good = new Generations(entries)
  }

  /** @param now milliseconds since 1970, by this clock */
  get(digest: string, clock: Clock, now: number): ActiveToken | undefined {
    const good = this.good.get(digest)
    if (good === undefined) return undefined
    // Never past its end, whatever clocks are allowed to differ: then the issuer has to say so again.
    return now / 1000 < good.validity.expiresAt && clock.monotonic() < good.until ? good : undefined
  }

  /** @param forMs how long the answer serves; 0: it is not kept */
  set(
    digest: string,
    { validity, header, payload, principal, terms }: ActiveToken,
    clock: Clock,
    forMs: number,
  ): void {
    if (forMs === 0) return
    this.good.set(digest, { validity, header, payload, principal, terms, until: clock.monotonic() + forMs })
  }

  delete(digest: string): void {
    this.good.delete(digest)
  }

  clear(): void {
    this.good.clear()
  }
}

/**
 * The same for tokens that one issuer says are bad. What is good and what is not, and what each issuer says, have rooms of their own: no
 * flood of made-up tokens pushes out what is used.
 */
export class BadAnswers {
  private readonly bad: Generations<string, Bad>
  private readonly forMs: number

  constructor(entries: number, cacheMs: number) {
    this.forMs = Math.min(cacheMs, MAX_REFUSED_MS)
    this.bad = new Generations(this.forMs === 0 ? 0 : entries)
  }

  get(digest: string, clock: Clock): Fault | undefined {
    const bad = this.bad.get(digest)
    return bad !== undefined && clock.monotonic() < bad.until ? bad.fault : undefined
  }

  set(digest: string, fault: Fault, clock: Clock): void {
    this.bad.set(digest, { fault, until: clock.monotonic() + this.forMs })
  }

  delete(digest: string): void {
    this.bad.delete(digest)
  }

  clear(): void {
    this.bad.clear()
  }
}
