import { hostname } from 'node:os'
import { integer, knownKeys, oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Recorder, SecurityContext, Slot } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import type { AuditEvent } from '../kernel/ports.js'
import { refuse } from '../kernel/problem.js'
import type { Finding, Stage } from '../kernel/stage.js'
import { tidy, type FlatEvent } from './audit-encode.js'
import { endOf, eventOf, type PathPolicy } from './audit-event.js'
import { LoggerSink, type AuditLogger } from './audit-logger.js'
import type { AuditStats, Sink } from './audit-sink.js'
import { stdoutLogger } from './default-logger.js'

export interface AuditOptions {
  /** Where events go: your winston logger, or any logger whose methods take one object. Default: winston, JSON lines on stdout. */
  logger?: AuditLogger
  onFailure?: 'count' | 'refuse'
  durability?: 'turn' | 'before-reply'
  maxPending?: number
  redact?: (event: AuditEvent) => AuditEvent
  path?: PathPolicy
  service?: string
}

const OPTIONS = ['logger', 'onFailure', 'durability', 'maxPending', 'redact', 'path', 'service']

export const audit = defineStage('audit', (options: AuditOptions = {}) => {
  knownKeys('audit', options, OPTIONS)
  const { onFailure = 'count', durability = 'turn', path = 'unmatched', redact } = options
  const { maxPending = 1_000, service = hostname() } = options
  oneOf('audit.onFailure', onFailure, ['count', 'refuse'])
  oneOf('audit.durability', durability, ['turn', 'before-reply'])
  oneOf('audit.path', path, ['unmatched', 'always', 'never'])
  integer('audit.maxPending', maxPending, { max: 1_000_000 })
  if (redact !== undefined && typeof redact !== 'function') {
    throw new ConfigError(`audit.redact must be a function, got ${show(redact)}`)
  }

  const sinks: readonly Sink[] = [new LoggerSink(options.logger ?? stdoutLogger(), maxPending)]
  const source = { service, path }

  const recorder: Recorder = {
    record(ctx, kind, facts) {
      const event = prepared(eventOf(ctx, kind, facts, source), redact)
      for (const sink of sinks) sink.write(event, durability === 'before-reply' && kind !== 'request')
    },
  }
  /** Mounted twice, this stage still makes one `request` event. */
  const progress: Slot<'open' | 'settled'> = { symbol: Symbol('audit.progress') }

  return {
    reportable: 'never',
    enter(ctx) {
      for (const sink of sinks) sink.attach(ctx.services)
      if (ctx.get(progress) !== undefined) return
      ctx.set(progress, 'open')
      resolveClient(ctx)
      ctx.recorder = ctx.recorder === undefined ? recorder : both(ctx.recorder, recorder)

      if (onFailure === 'refuse' && sinks.some(isSick)) {
        return refuse('audit-unavailable', { headers: { 'Retry-After': '1' }, rule: 'audit.onFailure' })
      }
    },
    settle(ctx) {
      if (ctx.get(progress) === 'settled') return
      ctx.set(progress, 'settled')
      recorder.record(ctx, 'request', endOf(ctx))
    },
    stats: (): AuditStats => ({
      written: sum(sinks, 'written'),
      dropped: sum(sinks, 'dropped'),
      failing: sinks.some(({ health }) => health.failing),
    }),
    describe: () => ({
      sinks: sinks.map(({ name }) => name),
      onFailure,
      durability,
      maxPending,
      path,
      service,
    }),
    findings: (): Finding[] => [],
    async close() {
      await Promise.all(sinks.map((sink) => sink.close()))
    },
  } satisfies Omit<Stage, 'name'> & { stats: () => AuditStats }
})

/** Now, because at the end the socket may be gone, and its address with it. */
function resolveClient(ctx: SecurityContext): string | undefined {
  return ctx.clientIp
}

/** Two audit stages, each with sinks of its own, both hear of every decision. */
function both(one: Recorder, other: Recorder): Recorder {
  return {
    record(...fact) {
      one.record(...fact)
      other.record(...fact)
    },
  }
}

function isSick(sink: Sink): boolean {
  sink.probe()
  return sink.health.failing
}

function sum(sinks: readonly Sink[], count: 'written' | 'dropped'): number {
  return sinks.reduce((total, { health }) => total + health[count], 0)
}

/** An event that cannot be masked is not written as it is: what remains says that it happened. */
function prepared(event: AuditEvent, redact: ((event: AuditEvent) => AuditEvent) | undefined): FlatEvent {
  if (redact === undefined) return tidy(event)
  try {
    const masked: unknown = redact(event)
    if (typeof masked === 'object' && masked !== null) return tidy(masked as AuditEvent)
  } catch {
    // Said by the event itself.
  }
  const { kind, time, severity, requestId } = event
  return tidy({ kind, time, severity, requestId, reason: 'audit.redact failed on this event' })
}
