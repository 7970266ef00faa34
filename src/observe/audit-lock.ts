import { hash, randomUUID } from 'node:crypto'
import { closeSync, openSync, readFileSync, readlinkSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { systemClock } from '../kernel/system-clock.js'
import { ConfigError } from '../kernel/config-error.js'

/** How often a holder shows that it lives, for those who cannot ask after its process. */
const HEARTBEAT_MS = 10_000
/** So many takers in a row may have died while they took the lock over from one another. */
const TAKERS_MAX = 3

interface Holder {
  readonly pid: number
  /** Where its process id means something. */
  readonly home: string
  /** When the process was started, in the kernel's own count: process ids come again. */
  readonly started: string
}

/** The right to append to a file, held by one writer: two would tear the chain apart. It is a file beside it, `<path>.lock`. */
export class AuditLock {
  private readonly file: string
  private readonly text: string
  private fd: number | undefined
  private stopHeartbeat: () => void = () => undefined

  /** @throws ConfigError while another process, or another instance in this one, holds it */
  constructor(path: string) {
    this.file = `${path}.lock`
    const holder: Holder = { pid: process.pid, home: homeOf(), started: startOf('self') }
    this.text = JSON.stringify({ ...holder, instance: randomUUID() })
    this.fd = take(this.file, this.text)
    if (this.fd === undefined) {
      throw new ConfigError(
        `audit.file "${path}" is being written by another process or instance (${this.file}); give each its own: ` +
          "the path may contain '{pid}' or '{host}'",
        'audit-file-locked',
      )
    }
    this.beat()
  }

  /** Makes sure that the lock is still ours: it goes away with its directory. */
  ensure(): void {
    const found = textOf(this.file)
    if (found === this.text) return
    const fd = found === undefined ? create(this.file, this.text) : undefined
    if (fd === undefined) throw new Error('another process has taken the audit file')
    this.discard()
    this.fd = fd
  }

  release(): void {
    this.stopHeartbeat()
    if (textOf(this.file) === this.text) attempt(() => unlinkSync(this.file))
    this.discard()
  }

  private beat(): void {
    this.stopHeartbeat = systemClock.after(HEARTBEAT_MS, () => {
      attempt(() => this.fd !== undefined && writeSync(this.fd, this.text, 0))
      this.beat()
    })
  }

  private discard(): void {
    const { fd } = this
    this.fd = undefined
    if (fd !== undefined) attempt(() => closeSync(fd))
  }
}

function create(file: string, text: string): number | undefined {
  try {
    const fd = openSync(file, 'wx', 0o600)
    writeSync(fd, text, 0)
    return fd
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return undefined
    throw cause
  }
}

/** A lock of our own, if nobody who lives holds it. */
function take(file: string, text: string, takers = 0): number | undefined {
  for (let tries = 0; tries < 3; tries++) {
    const fd = create(file, text)
    if (fd !== undefined) return fd
    const holder = textOf(file)
    if (holder === undefined) continue
    if (takers === TAKERS_MAX || isAlive(holder, file)) return undefined
    if (!removeStale(file, holder, text, takers)) return undefined
  }
  return undefined
}

/**
 * A stale lock is removed by who holds a lock that is named after it: of two that looked first and removed then, the second
 * would remove the lock that the first has put there.
 */
function removeStale(file: string, stale: string, text: string, takers: number): boolean {
  const right = `${file}.${hash('sha256', stale, 'hex').slice(0, 16)}`
  const fd = take(right, text, takers + 1)
  if (fd === undefined) return false
  try {
    if (textOf(file) === stale) unlinkSync(file)
  } finally {
    closeSync(fd)
    attempt(() => unlinkSync(right))
  }
  return true
}

function isAlive(text: string, file: string): boolean {
  const holder = parse(text)
  if (holder?.home !== homeOf()) {
    const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? { mtimeMs: 0 }
    return systemClock.now() - mtimeMs < 3 * HEARTBEAT_MS
  }
  const started = startOf(holder.pid)
  if (started !== '' && holder.started !== '') return started === holder.started
  try {
    process.kill(holder.pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, home, started } = JSON.parse(text) as Partial<Holder>
    if (!Number.isSafeInteger(pid) || typeof home !== 'string' || typeof started !== 'string')
      return undefined
    return { pid: pid!, home, started }
  } catch {
    return undefined
  }
}

/** The host, the run of its kernel, and the container: two containers may share host name and process id. Without `/proc`, the host. */
function homeOf(): string {
  const boot = textOf('/proc/sys/kernel/random/boot_id')?.trim()
  return [hostname(), boot, attempt(() => readlinkSync('/proc/self/ns/pid'))].join(' ')
}

/** Field 22 of Linux's `/proc/<pid>/stat`; empty where there is none. The name in field 2 may hold anything but ends at the last `)`. */
function startOf(pid: number | 'self'): string {
  const stat = textOf(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

function textOf(file: string): string | undefined {
  return attempt(() => readFileSync(file, 'latin1'))
}

/** The lock is a courtesy: where it fails, the trail itself shows a second writer. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch {
    return undefined
  }
}
