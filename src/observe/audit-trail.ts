import { hostname } from 'node:os'
import type { AuditEvent } from '../kernel/ports.js'
import { AppendFile, type Disturbance } from './audit-append.js'
import { parseLine, type AuditHead, type Link } from './audit-chain.js'
import {
  parseCheckpoint,
  type CheckpointFacts,
  type CheckpointReason,
  type Signer,
} from './audit-checkpoint.js'
import { Draft } from './audit-draft.js'
import { eventEncoder } from './audit-encode.js'
import { nodeFiles, type FileSystem } from './audit-files.js'
import { AuditLock } from './audit-lock.js'
import { fresh, resume, type Resumed } from './audit-resume.js'
import type { SinkServices } from './audit-sink.js'

export interface AuditTrailSettings {
  readonly path: string
  readonly mode: number
  readonly signer?: Signer | undefined
  readonly checkpointEvery: number
}

/** What came of an append. */
export interface Appended {
  /** So many of the events are on record. */
  readonly events: number
  /** What to keep elsewhere, if a checkpoint is among the lines. */
  readonly head: AuditHead | undefined
  /** Why not everything could be written. */
  readonly failure?: Error
}

/**
 * A hash-chained file: held by one writer, gone on with where an earlier process left it, followed when it is rotated.
 * The chain moves on by the lines that are on record, which on a full disk may be fewer than were to be appended.
 */
export class AuditTrail {
  /** Lines behind the last checkpoint. */
  loose = 0
  private readonly lock: AuditLock
  private readonly encode = eventEncoder()
  private readonly file: AppendFile
  private readonly resumed: Resumed
  private link: Link
  /** What this transport itself has to say, ahead of the events. */
  private notes: AuditEvent[] = []
  /** The next line must be a checkpoint that says how this file begins. */
  private opening: CheckpointReason | undefined = 'start'
  private lockInDoubt = false

  /** @throws ConfigError if another writer holds the file; Error if it cannot be opened, or holds what is not ours */
  constructor(
    private readonly settings: AuditTrailSettings,
    files: FileSystem = nodeFiles,
  ) {
    const { path, mode } = settings
    this.lock = new AuditLock(path)
    try {
      const exists = files.statSync(path, { throwIfNoEntry: false })?.isFile() === true
      const resumed = exists ? resume(files, path) : fresh(0, undefined)
      if (resumed === undefined) throw new Error('it holds something that is no audit trail')
      this.resumed = resumed
      this.link = resumed.link
      this.file = new AppendFile(path, mode, resumed.size, files)
    } catch (cause) {
      this.lock.release()
      throw cause
    }
    this.noteRepairs()
  }

  /** Permission bits of the file. */
  get permissions(): number {
    return this.file.permissions
  }

  /** Whether something must be written even if there is no event. */
  get mustOpen(): boolean {
    return this.opening !== undefined
  }

  /**
   * Appends events, and a checkpoint if one is due or `reason` asks for one. Throws if the file is not fit to be written to.
   */
  append(events: readonly string[], reason: CheckpointReason | undefined, services: SinkServices): Appended {
    this.lookAround(services)
    const draft = this.draft(events, reason, services.clock.now())
    const { bytes, failure } = this.file.append(draft.text)
    if (failure !== undefined) return { ...this.keep(draft.text.slice(0, bytes)), failure }

    this.link = draft.link
    this.loose = draft.loose
    this.opening = undefined
    this.notes = []
    return { events: events.length, head: draft.head }
  }

  /** Lets others have the file. */
  release(): void {
    this.lock.release()
  }

  close(): void {
    this.file.close()
  }

  /** Moves on behind the last line of a text that was written in part. */
  private keep(text: string): Appended {
    let events = 0
    let head: AuditHead | undefined
    for (const written of text.split('\n')) {
      const line = parseLine(written)
      if (line === undefined) continue
      this.link = line
      const checkpoint = parseCheckpoint(line)
      if (checkpoint !== undefined) {
        this.opening = undefined
        this.loose = 0
        head = { chain: checkpoint.chain, count: line.seq, hash: line.hash, time: checkpoint.time }
        continue
      }
      this.loose++
      if (this.notes.shift() === undefined) events++
    }
    return { events, head }
  }

  private draft(events: readonly string[], reason: CheckpointReason | undefined, now: number): Draft {
    const draft = new Draft(this.link, this.loose, this.settings.signer)
    if (this.opening !== undefined) draft.checkpoint(this.facts(this.opening, now))
    for (const note of this.notes) this.line(draft, this.encode({ ...note, time: textOf(now) }), now)
    for (const event of events) this.line(draft, event, now)
    const why = reason ?? (draft.loose >= this.settings.checkpointEvery ? 'records' : undefined)
    if (why !== undefined) draft.checkpoint(this.facts(why, now))
    return draft
  }

  private line(draft: Draft, members: string, now: number): void {
    if (draft.loose >= this.settings.checkpointEvery) draft.checkpoint(this.facts('records', now))
    draft.event(members)
  }

  private facts(why: CheckpointReason, now: number): CheckpointFacts {
    const { chain, previous } = this.resumed
    const more = { ...(why === 'start' && { previous }), host: hostname(), pid: process.pid }
    return { time: textOf(now), why, chain, every: this.settings.checkpointEvery, more }
  }

  /** Finds out whether the file is still where and how it was, and ours, before anything is written to it. */
  private lookAround(services: SinkServices): void {
    if (this.lockInDoubt) this.assureLock()
    const { disturbance, bytes } = this.file.check()
    if (disturbance === 'none') return
    this.disturbed(disturbance, bytes, services)
    this.assureLock()
  }

  /** Whoever disturbs the file may be another writer, to whom this process looked dead. */
  private assureLock(): void {
    this.lockInDoubt = true
    this.lock.ensure()
    this.lockInDoubt = false
  }

  private disturbed(how: Exclude<Disturbance, 'none'>, bytes: number, { log }: SinkServices): void {
    const { path } = this.settings
    if (how === 'moved') {
      this.opening = 'rotation'
      log.warn(`audit: ${path} was moved or removed; the trail goes on in a new file`)
      return
    }
    if (how === 'shrunk') this.opening = 'truncation'
    const kind = how === 'shrunk' ? 'audit-truncated' : 'audit-foreign-write'
    this.notes.push({ kind, severity: 'high', facts: { bytes } })
    log.error(`audit: somebody else has ${how === 'shrunk' ? 'shortened' : 'written to'} ${path}`, { bytes })
  }

  private noteRepairs(): void {
    const { torn, invalidLines } = this.resumed
    if (torn === undefined && invalidLines === 0) return
    this.notes.push({
      kind: 'audit-repaired',
      severity: invalidLines > 0 ? 'high' : 'medium',
      facts: { ...(torn && { tornBytes: torn.bytes, tornSha256: torn.sha256 }), invalidLines },
    })
  }
}

function textOf(now: number): string {
  return new Date(now).toISOString()
}
