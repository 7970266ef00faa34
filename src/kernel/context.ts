import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Authentication } from './authentication.js'
import { repairFromExpress } from './express-shape.js'
import type { Head } from './head.js'
import type { Problem } from './problem.js'
import type { ReplyGate } from './reply-gate.js'
import type { Client, Services } from './services.js'
import type { Stage } from './stage.js'

/** Who is calling, whichever way they proved it. */
export interface Principal {
  /** Unique across issuers: issuer and subject together (ASVS 6.8.1). Key for quotas and ownership. */
  readonly id: string
  /** The subject as the issuer names it. */
  readonly subject: string
  /** Who vouches for the subject; for tokens the exact `iss`. */
  readonly issuer?: string
  /** The method that recognised the credential, such as `bearer`. */
  readonly method: string
  /** The credential is an access token (RFC 6749 section 1.4): for what lacks a scope, its issuer may be asked for another one. */
  readonly accessToken?: true
  /** What the issuer says about the subject. Read-only; access rules look here. */
  readonly claims: Readonly<Record<string, unknown>>
  /** When the credential was issued and when it ends, in seconds since 1970. */
  readonly issuedAt?: number
  readonly expiresAt?: number
  /** How and when the caller proved who it is, where something is known of that; `stepUp` looks here. */
  readonly authentication?: Authentication
  /** What the caller proved to have besides, and the credential is worth nothing without: the key of its DPoP proofs, or of its TLS certificate. */
  readonly bound?: readonly ('dpop' | 'mtls')[]
}

/** What `validate` let through, after coercion and defaults. A part without a schema is `undefined`. */
export interface ValidatedInput {
  params?: unknown
  query?: unknown
  headers?: unknown
  cookies?: unknown
  body?: unknown
}

/** What one stage decided about a request. */
export interface TraceEntry {
  readonly stage: string
  /**
   * `reported`: would have refused, but only reports. `failed`: threw, and was answered as `broken`. `shaped`: had a
   * look at the reply, and changed it if need be.
   */
  readonly verdict: 'passed' | 'refused' | 'reported' | 'answered' | 'failed' | 'shaped'
  /** Problem code, if it refused or reported. */
  readonly code?: string
  /** Stable name of the rule that decided. */
  readonly rule?: string
  /** One sentence, for people. */
  readonly why?: string
  readonly micros: number
}

/** Turns facts about a request into audit events. */
export interface Recorder {
  /** @param isEnd the fact is the decision that ended the exchange */
  record(ctx: SecurityContext, kind: string, facts: Readonly<Record<string, unknown>>, isEnd?: boolean): void
}

/** A key for data of a stage's own on the context; typed by whoever declares it. */
export interface Slot<T> {
  readonly symbol: symbol
  /** Carries the type; never present at run time. */
  readonly type?: T
}

/** Declares a slot. Its owner exports it; whoever imports it reads it, typed. */
export function slot<T>(name: string): Slot<T> {
  return { symbol: Symbol.for(`secure-api.slot.${name}`) }
}

/** The object that a request is about, as whoever decides about it has loaded it. */
export const loadedResource = slot<unknown>('resource')

const NONE: readonly Stage[] = []
const CONTEXT = Symbol.for('secure-api.context')

/** What all stages share about one request. All fields exist from birth, so that the object keeps one shape. */
export class SecurityContext {
  readonly [CONTEXT] = true

  /** When the request arrived, in milliseconds since 1970. */
  readonly now: number
  /** The same moment on the monotonic clock, for durations. */
  readonly startedAt: number
  /** Correlation id of this request; `requestId` sets it. */
  id = ''
  /** W3C trace context to pass on to upstream calls (`traceparent`); `requestId` sets it. */
  traceparent = ''
  /** The rule of `routes` that fits, as it was written: `POST /orders`. */
  route: string | undefined = undefined
  principal: Principal | undefined = undefined
  input: ValidatedInput = {}
  /** An access decision was made: a rule passed, or refused and is only reported, or the route is public. */
  decided = false
  /** The refusal that ended the request, and the stage that made it. */
  problem: Problem | undefined = undefined
  refusedBy: string | undefined = undefined
  /** Refusals that were only reported. */
  reported: { stage: string; problem: Problem }[] | undefined = undefined
  /** What each stage decided, in order; `undefined` unless tracing is on. */
  trace: TraceEntry[] | undefined = undefined
  /** Keeps the facts of this request; `audit` sets it. */
  recorder: Recorder | undefined = undefined

  /** The rule and reason of the stage that is running, for the trace and the record. */
  rule: string | undefined = undefined
  why: string | undefined = undefined

  /** By which instances of `secureApi` this request was let in, as what, and by which plan. */
  readonly entries: { by: object; url: string; method: string; plan: unknown; passed: boolean }[] = []
  /** Names of the header fields that were there before the handler, as they were written. */
  headersBefore: string[] | undefined = undefined
  /** The request reached its handler. */
  handling = false
  /** Stops the handler's deadline. */
  cancelDeadline: (() => void) | undefined = undefined
  /** Stages that wait for the end of the exchange. */
  settling: readonly Stage[] | undefined = undefined
  /** Stages that hide some of what is put on record. */
  concealing: readonly Stage[] = NONE
  /** What stands between the handler and the wire; the kernel's own. */
  reply: ReplyGate | undefined = undefined

  private inForce: Services
  /** As seen by the services in force; and by others that were, once there are some. */
  private client: Client | undefined = undefined
  private clients: Map<Services, Client> | undefined = undefined
  /** Keys and values in turn: of so few, a list is faster to make and to search than a map. */
  private readonly slots: unknown[] = []

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    services: Services,
  ) {
    this.inForce = services
    this.now = services.clock.now()
    this.startedAt = services.clock.monotonic()
  }

  /** The outside world, as it was given to whoever runs. */
  get services(): Services {
    return this.inForce
  }

  /** Puts other services in force. What the ones before saw of the client is kept: at the end the socket may be gone. */
  use(services: Services): void {
    if (services === this.inForce) return
    if (this.client !== undefined)
      (this.clients ??= new Map<Services, Client>()).set(this.inForce, this.client)
    this.inForce = services
    this.client = this.clients?.get(services)
  }

  /** Acts with other services in force. */
  using<T>(services: Services, act: () => T): T {
    const before = this.inForce
    this.use(services)
    try {
      return act()
    } finally {
      this.use(before)
    }
  }

  /** The client's address behind the declared proxies; `undefined` for a socket that is already gone. */
  get clientIp(): string | undefined {
    return (this.client ??= this.services.clientOf(this.req)).address
  }

  /** The address to count by: IPv6 grouped per /56; `'unknown'` for a socket without an address. */
  get clientKey(): string {
    return (this.client ??= this.services.clientOf(this.req)).key
  }

  /** The path that the client asked for, wherever this is mounted, without the query and undecoded. */
  get path(): string {
    return pathOf(originalUrl(this.req))
  }

  /** The object that the request is about, as `ownership` has loaded it; `undefined` where nobody did. */
  get resource(): unknown {
    return this.get(loadedResource)
  }

  /**
   * The header fields of the reply. Before the handler runs they may still wait to be set on `res`, where they can be
   * set as well: whoever comes later wins.
   */
  get head(): Head {
    return this.reply?.head ?? this.res
  }

  get<T>(key: Slot<T>): T | undefined {
    const { slots } = this
    for (let i = 0; i < slots.length; i += 2) if (slots[i] === key.symbol) return slots[i + 1] as T
    return undefined
  }

  set<T>(key: Slot<T>, value: T): void {
    const { slots } = this
    let i = 0
    while (i < slots.length && slots[i] !== key.symbol) i += 2
    slots[i] = key.symbol
    slots[i + 1] = value
  }

  /** Says which rule decided and why, for the trace. Pass static text: it costs nothing when nobody asks. */
  note(rule: string, why?: string): void {
    this.rule = rule
    this.why = why
  }

  /**
   * Puts a fact on record, if something keeps records: never a secret, a token or a body.
   *
   * @throws TypeError for a kind that is no text, and facts that are no object
   */
  record(kind: string, facts: Readonly<Record<string, unknown>>): void {
    if (typeof kind !== 'string' || typeof facts !== 'object' || Object(facts) !== facts)
      throw new TypeError(
        "record needs a kind and an object of facts, as in record('order-cancelled', { order })",
      )
    this.recorder?.record(this, kind, facts)
  }
}

/** What stands before the query. */
export function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}

/** The URL as the client sent it: routers that mount under a path shorten `req.url` and keep this. */
export function originalUrl(req: IncomingMessage): string {
  return (req as { originalUrl?: string }).originalUrl ?? req.url ?? '/'
}

declare global {
  // The place that Express's types keep for this: https://github.com/DefinitelyTyped/DefinitelyTyped/tree/master/types/express-serve-static-core
  // eslint-disable-next-line @typescript-eslint/no-namespace -- declaration merging has no other form
  namespace Express {
    interface Request {
      /** What the stages of secure-api know about this request. */
      security?: SecurityContext
    }
  }
}

type Carrier = IncomingMessage & { security?: SecurityContext }

/** The context of a request: what `req.security` is, for Connect and plain `node:http`. `undefined` before any stage ran. */
export function contextOf(req: IncomingMessage): SecurityContext | undefined {
  const found = (req as Carrier).security
  return found !== undefined && (found as Partial<SecurityContext>)[CONTEXT] ? found : undefined
}

/** The context of this exchange, opened by the first stage that meets it. */
export function openContext(req: IncomingMessage, res: ServerResponse, services: Services): SecurityContext {
  const found = contextOf(req)
  if (found !== undefined) return found
  repairFromExpress(req, res)
  return ((req as Carrier).security = new SecurityContext(req, res, services))
}
