import { Circuit } from '../kernel/circuit.js'
import type { Clock } from '../kernel/ports.js'
import type { Services } from '../kernel/services.js'
import { parseMediaType } from '../lib/media-type.js'
import { parseStrictObject } from '../lib/strict-json.js'
import { Turns } from '../lib/turns.js'
import type { Claims } from './claims.js'
import { discover } from './discovery.js'
import { askEndpoint, EndpointError, type EndpointQuestion } from './endpoint.js'
import type { IntrospectionIssuer } from './introspection-issuers.js'
import type { Unavailable } from './unavailable.js'

const MAX_WAITING = 100
/** After failures in a row, the issuer is left alone for so long. */
const COOL_DOWN_MS = 1_000

/** What an issuer answers to a token that it knows nothing of. */
const INACTIVE: Claims = { active: false }

/**
 * Asks one issuer about tokens (RFC 7662). Who asks about the same token at the same time shares the question; no more
 * than so many are open at once; an issuer that fails again and again is left alone and tried once a second.
 */
export class IntrospectionCalls {
  private readonly open = new Map<string, Promise<Claims | Unavailable>>()
  private readonly turns: Turns
  private readonly running = new Set<AbortController>()
  private circuit: Circuit | undefined
  private endpoint: Promise<string> | undefined

  /** @param port what the log calls it */
  constructor(
    private readonly issuer: IntrospectionIssuer,
    private readonly port: string,
  ) {
    this.turns = new Turns(issuer.maxCalls, MAX_WAITING)
  }

  /** @param digest tells the token from others */
  ask(token: string, digest: string, services: Services): Promise<Claims | Unavailable> {
    const running = this.open.get(digest)
    if (running !== undefined) return running
    const asked = this.inTurn(token, services).finally(() => this.open.delete(digest))
    this.open.set(digest, asked)
    return asked
  }

  /** Finds the endpoint; rejects if it cannot be found. */
  async ready(services: Services): Promise<void> {
    await this.inTime(services, (signal) => this.find(services, signal))
  }

  close(): void {
    for (const call of this.running) call.abort(new Error('closed'))
  }

  private async inTurn(token: string, services: Services): Promise<Claims | Unavailable> {
    const { clock, log } = services
    if (!(await this.turns.take(clock, this.issuer.timeoutMs))) return 'introspection-crowded'
    this.circuit ??= new Circuit(this.port, 'own', {
      clock,
      log,
      what: 'issuer',
      timeoutMs: this.issuer.timeoutMs,
      coolDownMs: COOL_DOWN_MS,
    })
    try {
      return await this.circuit.ask(
        () => this.inTime(services, (signal) => this.call(token, services, signal)),
        (said) => said as Claims | 'introspection-refused',
      )
    } catch {
      return 'introspection-unavailable'
    } finally {
      this.turns.done()
    }
  }

  private async inTime<T>({ clock }: Services, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs } = this.issuer
    const abort = new AbortController()
    const cancel = clock.after(timeoutMs, () => abort.abort(new Error(`no answer within ${timeoutMs} ms`)))
    this.running.add(abort)
    try {
      return await call(abort.signal)
    } finally {
      cancel()
      this.running.delete(abort)
    }
  }

  private async call(
    token: string,
    services: Services,
    signal: AbortSignal,
  ): Promise<Claims | 'introspection-refused'> {
    const url = await this.find(services, signal)
    const question = await this.question(token, services.clock)
    const { status, type, bytes } = await askEndpoint(url, question, services, signal).catch(
      (error: unknown) => {
        // It may have moved: the next question looks for it again.
        this.endpoint = undefined
        throw error
      },
    )

    const said = isJson(type) ? parseStrictObject(bytes) : undefined
    // RFC 7662 leaves it open what to say of a token of a kind that cannot be asked about; this is what issuers say. It is
    // an answer, so that no client can send what makes the issuer look broken to all others.
    if (status === 400) return said?.error === 'unsupported_token_type' ? INACTIVE : 'introspection-refused'
    if (typeof said?.active === 'boolean') return said
    throw new EndpointError('the introspection endpoint did not say whether the token is active')
  }

  private async question(token: string, clock: Clock): Promise<EndpointQuestion> {
    const { headers, form } = await this.issuer.prove(clock)
    return {
      method: 'POST',
      headers: {
        ...headers,
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ token, token_type_hint: 'access_token', ...form }).toString(),
      statuses: [200, 400],
    }
  }

  private find(services: Services, signal: AbortSignal): Promise<string> {
    const { endpoint, name } = this.issuer
    if (endpoint !== undefined) return Promise.resolve(endpoint)
    this.endpoint ??= discover('introspection_endpoint', name, services, this.issuer, signal).catch(
      (error: unknown) => {
        this.endpoint = undefined
        throw error
      },
    )
    return this.endpoint
  }
}

/** Signed answers (RFC 9701) are not asked for, and not understood. */
function isJson(type: string | null): boolean {
  return type !== null && parseMediaType(type)?.essence === 'application/json'
}
