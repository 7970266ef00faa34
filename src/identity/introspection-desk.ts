import type { Later } from '../kernel/ports.js'
import type { Services } from '../kernel/services.js'
import { when } from '../lib/when.js'
import type { Fault } from './faults.js'
import { judgeAnswer, type ActiveToken } from './introspection-answer.js'
import { BadAnswers } from './introspection-cache.js'
import { IntrospectionCalls } from './introspection-call.js'
import type { IntrospectionIssuer } from './introspection-issuers.js'
import { unavailable, type Unavailable } from './unavailable.js'

/** What became of a token: it is good, bad, or nobody can tell. */
export type Outcome = ActiveToken | Fault | Unavailable

/** Where one issuer is asked: its questions, its breaker and its bad tokens are no matter of the other issuers. */
export class IntrospectionDesk {
  private readonly calls: IntrospectionCalls
  private readonly bad: BadAnswers

  /**
   * @param port what the log calls it
   * @param entries so many bad tokens are remembered
   */
  constructor(
    readonly issuer: IntrospectionIssuer,
    port: string,
    entries: number,
  ) {
    this.calls = new IntrospectionCalls(issuer, port)
    this.bad = new BadAnswers(entries, issuer.cacheMs)
  }

  ask(token: string, digest: string, services: Services): Later<Outcome> {
    const { clock } = services
    const known = this.bad.get(digest, clock)
    if (known !== undefined) return known
    return when(this.calls.ask(token, digest, services), (said) => {
      if (typeof said === 'string') return said
      const answer = judgeAnswer(said, this.issuer)
      if (typeof answer === 'string') this.bad.set(digest, answer, clock)
      else this.bad.delete(digest)
      return answer
    })
  }

  ready(services: Services): Promise<void> {
    return this.calls.ready(services)
  }

  close(): void {
    this.calls.close()
    this.bad.clear()
  }
}

/** What an issuer says of a token that is none of its own. */
const NOT_ITS_OWN: readonly Outcome[] = ['token-inactive', 'token-issuer']

/**
 * Asks one after the other until one knows the token as its own. Nobody says that a token is bad as long as the one that could know it
 * is away.
 */
export function askInTurn(
  desks: readonly IntrospectionDesk[],
  token: string,
  digest: string,
  services: Services,
  from = 0,
  before: Fault | Unavailable = 'token-issuer',
): Later<{ desk: IntrospectionDesk; good: ActiveToken } | Fault | Unavailable> {
  const desk = desks[from]
  if (desk === undefined) return before
  return when(desk.ask(token, digest, services), (said) => {
    if (typeof said !== 'string') return { desk, good: said }
    const isAway = said in unavailable
    if (!isAway && !NOT_ITS_OWN.includes(said)) return said
    return askInTurn(desks, token, digest, services, from + 1, before in unavailable ? before : said)
  })
}
