import { hostname } from 'node:os'
import { func, integer, knownKeys, oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { AuditEvent } from '../kernel/ports.js'
import type { AuditHead } from './audit-chain.js'
import { signer, type AuditKey } from './audit-checkpoint.js'
import type { PathPolicy } from './audit-event.js'
import type { AuditFileSettings } from './audit-file.js'
import type { AuditLogger } from './audit-logger.js'

export interface AuditFileOptions {
  /**
   * The file that lines are appended to; its directory must exist. `{pid}` and `{host}` in it are replaced, so that each
   * process has its own. A second writer of the same file is refused at start (`ConfigError`, `audit-file-locked`). Required.
   */
  path: string
  /**
   * Ed25519 private key, as PEM text or `KeyObject`, that checkpoints are signed with. Without one nobody can tell a
   * trail that was rewritten as a whole from a true one; `findings()` says so (`audit-unsigned`). Default: none; a key that is
   * there but `undefined`, as of an unset variable of the environment, is refused at start.
   */
  key?: AuditKey
  /** Lines after which a checkpoint is written. Default 1000. */
  checkpointEvery?: number
  /** Milliseconds after which lines behind the last checkpoint get one of their own. Default 10 000. */
  checkpointMs?: number
  /**
   * Called with every new head, to be kept where whoever can write the file cannot. Only with it `verifyAudit` finds
   * lines that were cut off at the end. May return a promise; a failure is logged and changes nothing. Default: none.
   */
  onCheckpoint?: (head: AuditHead) => unknown
  /** Permission bits of a new file. Write permission for group or others is refused at start. Default `0o600`. */
  mode?: number
}

export interface AuditOptions {
  /**
   * Your winston logger, or any logger whose `info`, `warn` and `error` take one object (pino, bunyan, `console`). Default:
   * none if `file` is given, else a winston logger that writes JSON lines to stdout. With `file` as well, both get every event.
   */
  logger?: AuditLogger
  /** Our own file transport: a path, or options. Hash-chained, checked by `verifyAudit`. Default: no file. */
  file?: string | AuditFileOptions
  /**
   * `'turn'`: the events of one turn of the event loop are written together at its end; `kill -9` loses at most that turn,
   * of which replies may already be on the wire. `'before-reply'`: every event but `request`, which tells how the reply ended,
   * is written before the first byte of the reply. Default `'turn'`.
   */
  durability?: 'turn' | 'before-reply'
  /**
   * While a sink is sick: `'count'` serves on, counts what is lost and logs each outage once; `'refuse'` answers 503
   * `audit-unavailable` with `Retry-After` before the handler. Both recover by themselves. Default `'count'`.
   */
  onFailure?: 'count' | 'refuse'
  /** Events that may wait in a sick file, or inside a logger that takes none, before further ones are dropped and counted. Default 1000. */
  maxPending?: number
  /** Masks an event before it goes anywhere; must not change its argument. If it throws, only kind, time and request id are written. Default: none. */
  redact?: (event: AuditEvent) => AuditEvent
  /**
   * When the path is put on record as it was sent, without its query. A path may carry what should not be kept: `'unmatched'`
   * only where neither `routes` nor Express has a template for it, `'always'`, or `'never'`. Default `'unmatched'`.
   */
  path?: PathPolicy
  /** The name of this service in every event. Default: the host name. */
  service?: string
}

/** Options after checks and defaults. */
export interface AuditSettings extends Required<
  Pick<AuditOptions, 'durability' | 'onFailure' | 'maxPending' | 'path' | 'service'>
> {
  readonly logger: AuditLogger | undefined
  readonly file: AuditFileSettings | undefined
  readonly redact: ((event: AuditEvent) => AuditEvent) | undefined
}

const OPTIONS = [
  'logger',
  'file',
  'durability',
  'onFailure',
  'maxPending',
  'redact',
  'path',
  'service',
] satisfies (keyof AuditOptions)[]
const FILE_OPTIONS = [
  'path',
  'key',
  'checkpointEvery',
  'checkpointMs',
  'onCheckpoint',
  'mode',
] satisfies (keyof AuditFileOptions)[]

/** @throws ConfigError for the first option that breaks a rule */
export function auditSettings(options: AuditOptions): AuditSettings {
  knownKeys('audit', options, OPTIONS, ['file', 'redact'])
  const { logger, file, durability = 'turn', onFailure = 'count', maxPending = 1_000, redact } = options
  const { path = 'unmatched', service = hostname() } = options

  oneOf('audit.durability', durability, ['turn', 'before-reply'])
  oneOf('audit.onFailure', onFailure, ['count', 'refuse'])
  oneOf('audit.path', path, ['unmatched', 'always', 'never'])
  integer('audit.maxPending', maxPending, { max: 1_000_000 })
  if (redact !== undefined) func('audit.redact', redact)
  text('audit.service', service, 128)
  if (logger !== undefined && !isLogger(logger)) {
    throw new ConfigError(`audit.logger must have the methods info, warn and error, got ${show(logger)}`)
  }
  return {
    logger,
    file: file === undefined ? undefined : fileSettings(file, maxPending),
    durability,
    onFailure,
    maxPending,
    redact,
    path,
    service,
  }
}

function fileSettings(file: string | AuditFileOptions, maxPending: number): AuditFileSettings {
  const options = typeof file === 'string' ? { path: file } : file
  knownKeys('audit.file', options, FILE_OPTIONS, ['key', 'onCheckpoint'])
  const { path, key, checkpointEvery = 1_000, checkpointMs = 10_000, onCheckpoint, mode = 0o600 } = options

  text('audit.file.path', path, 4096)
  integer('audit.file.checkpointEvery', checkpointEvery)
  integer('audit.file.checkpointMs', checkpointMs, { max: 2 ** 31 - 1 })
  if (onCheckpoint !== undefined) func('audit.file.onCheckpoint', onCheckpoint)
  integer('audit.file.mode', mode, { min: 0, max: 0o777 })
  if ((mode & 0o022) !== 0) {
    throw new ConfigError('audit.file.mode must not let group or others write, as 0o600 and 0o640 do not')
  }
  return {
    path: path.replaceAll('{pid}', String(process.pid)).replaceAll('{host}', hostname()),
    signer: key === undefined ? undefined : signer(key),
    checkpointEvery,
    checkpointMs,
    onCheckpoint,
    mode,
    maxPending,
  }
}

function isLogger(value: unknown): value is AuditLogger {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const { info, warn, error } = value as Partial<AuditLogger>
  return [info, warn, error].every((method) => typeof method === 'function')
}

function text(option: string, value: unknown, max: number): void {
  if (typeof value === 'string' && value !== '' && value.length <= max && !value.includes('\0')) return
  throw new ConfigError(`${option} must be a text of 1 to ${max} characters, got ${show(value)}`)
}
