import { ConfigError } from '../kernel/config-error.js'
import type { Recorder, SecurityContext, Slot } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import type { AuditEvent } from '../kernel/ports.js'
import { refuse } from '../kernel/problem.js'
import type { Services } from '../kernel/services.js'
import type { Stage } from '../kernel/stage.js'
import { isStrayPromise } from '../lib/when.js'
import { endOf, eventOf, isoTimes, keeps } from './audit-event.js'
import { AuditFile } from './audit-file.js'
import { auditFindings } from './audit-findings.js'
import { LoggerSink } from './audit-logger.js'
import { auditSettings, type AuditOptions, type AuditSettings } from './audit-options.js'
import type { AuditStats, Sink } from './audit-sink.js'
import { StdoutLogger } from './default-logger.js'

export type { AuditFileOptions, AuditOptions } from './audit-options.js'

/** The stage behind `audit()`, with the counts of its sinks. */
export interface AuditStage extends Omit<Stage, 'name'> {
  /** What has been written and lost so far, over all sinks. */
  stats(): AuditStats
}

/**
 * Puts on record who did what, from where, when, with which outcome and by which rule: one event per security decision, and one
 * `request` event per exchange that none of them ended. Refuses 503 `audit-unavailable` only if told to (`onFailure: 'refuse'`).
 *
 * @example
 * app.use(audit({ file: { path: '/var/log/orders/audit.jsonl', key: process.env.AUDIT_KEY } }))
 *
 * @throws ConfigError for an unknown option or value, and for a file that cannot be opened or is being written by another process
 */
export const audit = defineStage('audit', (options: AuditOptions = {}): AuditStage => stageOf(options))

/** The same, where facts are masked beside `redact` and ahead of it. */
export const auditMasking = defineStage(
  'audit',
  ({ options, hide }: { options: AuditOptions; hide: Hide | undefined }): AuditStage =>
    stageOf(options, hide),
)

type Hide = (facts: unknown) => unknown

function stageOf(options: AuditOptions, hide?: Hide): AuditStage {
  const settings = auditSettings(options)
  const { durability, onFailure, service, path } = settings
  const file = settings.file && openFile(settings)
  const fallback = settings.logger === undefined && file === undefined ? new StdoutLogger() : undefined
  const logger = settings.logger ?? fallback
  const sinks: Sink[] = [
    ...(file ? [file] : []),
    ...(logger ? [new LoggerSink(logger, settings.maxPending)] : []),
  ]

  const source = { service, path, timeOf: isoTimes() }
  /** The services with which a request came to this stage. Mounted twice, it still tells once how an exchange ended. */
  const entered: Slot<Services> = { symbol: Symbol('audit.entered') }
  /** The decision that ended an exchange, or nothing of the kind. */
  const ended: Slot<Facts> = { symbol: Symbol('audit.ended') }
  const put: Recorder['record'] = (ctx, kind, facts, isEnd = false) => {
    const event = prepared(ctx, eventOf(ctx, kind, facts, isEnd, source), settings, hide)
    const now = durability === 'before-reply' && kind !== 'request'
    const waits = settings.redact === undefined && keeps(event)
    for (const sink of sinks) {
      sink.attach(ctx.services)
      sink.write(event, now, waits)
    }
  }
  const recorder: Recorder = {
    record(ctx, kind, facts, isEnd) {
      if (isEnd === true) {
        // The same once more, as the error that it was forwarded as.
        if (isSame(ctx.get(ended), facts)) return
        // It says all that a `request` event would, and whoever refuses a flood should not have to write that twice.
        ctx.set(ended, facts)
      }
      const own = ctx.get(entered)!
      if (ctx.services === own) return put(ctx, kind, facts, isEnd)
      // What a stage with services of its own decides is put on record as seen by those of the trail: its clock, its proxies.
      ctx.using(own, () => put(ctx, kind, facts, isEnd))
    },
  }

  return {
    reportable: 'never',
    enter(ctx) {
      if (ctx.get(entered) !== undefined) return
      ctx.set(entered, ctx.services)
      resolveClient(ctx)
      ctx.recorder = ctx.recorder === undefined ? recorder : both(ctx.recorder, recorder)

      if (onFailure === 'refuse' && sinks.filter(isSick).length > 0) {
        return refuse('audit-unavailable', {
          headers: { 'Retry-After': '1' },
          rule: 'audit.onFailure',
          reason: 'a sink takes no events',
        })
      }
    },
    settle(ctx) {
      if (ctx.get(ended) !== undefined) return
      ctx.set(ended, NOTHING)
      put(ctx, 'request', endOf(ctx), true)
    },
    stats: () => ({
      written: total(sinks, 'written'),
      dropped: total(sinks, 'dropped'),
      failing: sinks.some(({ health }) => health.failing),
    }),
    describe: () => ({
      sinks: [...(file ? ['file'] : []), ...(logger ? [fallback ? 'stdout' : 'logger'] : [])],
      ...(settings.file && { file: describeFile(settings.file) }),
      durability,
      onFailure,
      maxPending: settings.maxPending,
      redact: (settings.redact ?? hide) !== undefined,
      path,
      service,
    }),
    findings: () => auditFindings(settings, file?.permissions),
    async ready(services) {
      for (const sink of sinks) sink.attach(services)
      await fallback?.loaded
    },
    async close() {
      await Promise.all(sinks.map((sink) => sink.close()))
    },
  }
}

function openFile({ file }: AuditSettings): AuditFile {
  try {
    return new AuditFile(file!)
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause
    const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message
    throw new ConfigError(
      `audit.file "${file!.path}" cannot be used (${why}); name a new file or an audit trail, in a directory that exists ` +
        'and that this process may write to',
      'audit-file-unusable',
    )
  }
}

function describeFile({
  path,
  mode,
  signer,
  checkpointEvery,
  checkpointMs,
  onCheckpoint,
}: NonNullable<AuditSettings['file']>) {
  return {
    path,
    mode: mode.toString(8),
    key: signer?.keyId,
    checkpointEvery,
    checkpointMs,
    onCheckpoint: onCheckpoint !== undefined,
  }
}

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

type Facts = Readonly<Record<string, unknown>>
const NOTHING: Facts = {}

function isSame(one: Facts | undefined, { code, rule, reason }: Facts): boolean {
  return one !== undefined && one['code'] === code && one['rule'] === rule && one['reason'] === reason
}

function isSick(sink: Sink): boolean {
  sink.probe()
  return sink.health.failing || sink.health.closed
}

function total(sinks: readonly Sink[], count: 'written' | 'dropped'): number {
  return sinks.reduce((sum, { health }) => sum + health[count], 0)
}

/** An event that cannot be masked is not written as it is: what remains says that it happened. */
function prepared(
  ctx: SecurityContext,
  recorded: AuditEvent,
  { redact }: AuditSettings,
  hide: Hide | undefined,
): AuditEvent {
  if (redact === undefined && recorded['facts'] === undefined) return recorded
  const { kind, time, severity, requestId } = recorded
  try {
    const event = concealed(ctx, recorded, hide)
    if (redact === undefined) return event
    const masked: unknown = redact(event)
    if (masked === event) return event
    if (typeof masked === 'object' && masked !== null && !isStrayPromise(masked))
      return { ...(masked as AuditEvent) }
  } catch {
    // Said by the event itself.
  }
  return { kind, time, severity, requestId, reason: 'mask or audit.redact failed on this event' }
}

/** As with replies, what stands nearest to the handler comes first. */
function concealed({ concealing }: SecurityContext, event: AuditEvent, hide: Hide | undefined): AuditEvent {
  if (event['facts'] === undefined || (hide === undefined && concealing.length === 0)) return event
  const shown = concealing.reduceRight<unknown>((facts, stage) => stage.conceal!(facts), event['facts'])
  return { ...event, facts: hide === undefined ? shown : hide(shown) }
}
