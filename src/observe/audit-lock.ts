import { randomUUID } from 'node:crypto'
import {
  closeSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { systemClock } from '../kernel/system-clock.js'
import { ConfigError } from '../kernel/config-error.js'

/** How often a holder shows that it lives, for holders on another machine that shares the directory. */
const HEARTBEAT_MS = 10_000

interface Holder {
  readonly pid: number
  readonly host: string
  /** When the process was started, in the kernel's own count: process ids come again, in containers at once. */
  readonly started: string
}

/** The right to append to a file, held by one writer: two would tear the chain apart. It is a file beside it, `<path>.lock`. */
export class AuditLock {
  private readonly file: string
  private readonly text: string
  private fd: number | undefined
  private stopHeartbeat: () => void = () => undefined

  /** @throws ConfigError while another process, or another instance in this one, holds it */
  constructor(private readonly path: string) {
    this.file = `${path}.lock`
    const holder: Holder = { pid: process.pid, host: hostname(), started: startOf('self') }
    this.text = JSON.stringify({ ...holder, instance: randomUUID() })
    this.acquire()
    this.beat()
  }

  /** Makes sure that the lock is still ours: it goes away with its directory. */
  ensure(): void {
    const found = textOf(this.file)
    if (found === this.text) return
    if (found !== undefined) throw new Error('another process has taken the audit file')
    this.discard()
    this.create()
  }

  release(): void {
    this.stopHeartbeat()
    if (textOf(this.file) === this.text) quietly(() => unlinkSync(this.file))
    this.discard()
  }

  private acquire(): void {
    for (let attempt = 0; attempt < 3; attempt++) {
      if (this.create()) return
      const holder = textOf(this.file)
      if (holder === undefined) continue
      if (isAlive(holder, this.file)) break
      if (!this.removeStale(holder)) break
    }
    throw new ConfigError(
      `audit.file "${this.path}" is being written by another process or instance (${this.file}); give each its own: ` +
        "the path may contain '{pid}' or '{host}'",
      'audit-file-locked',
    )
  }

  private create(): boolean {
    try {
      this.fd = openSync(this.file, 'wx', 0o600)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw cause
    }
    writeSync(this.fd, this.text, 0)
    return true
  }

  /** Renaming is atomic, so of two that find the same stale lock one moves it; the other must put back what it caught. */
  private removeStale(expected: string): boolean {
    const aside = `${this.file}.${process.pid}`
    try {
      renameSync(this.file, aside)
    } catch {
      return true
    }
    const stale = textOf(aside) === expected
    if (!stale) quietly(() => linkSync(aside, this.file))
    quietly(() => unlinkSync(aside))
    return stale
  }

  private beat(): void {
    this.stopHeartbeat = systemClock.after(HEARTBEAT_MS, () => {
      quietly(() => this.fd !== undefined && writeSync(this.fd, this.text, 0))
      this.beat()
    })
  }

  private discard(): void {
    const { fd } = this
    this.fd = undefined
    if (fd !== undefined) quietly(() => closeSync(fd))
  }
}

function isAlive(text: string, file: string): boolean {
  const holder = parse(text)
  if (holder === undefined || holder.host !== hostname()) {
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
    const { pid, host, started } = JSON.parse(text) as Partial<Holder>
    if (!Number.isSafeInteger(pid) || typeof host !== 'string' || typeof started !== 'string')
      return undefined
    return { pid: pid!, host, started }
  } catch {
    return undefined
  }
}

/** Field 22 of Linux's `/proc/<pid>/stat`; empty where there is none. The name in field 2 may hold anything but ends at the last `)`. */
function startOf(pid: number | 'self'): string {
  const stat = textOf(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return undefined
  }
}

function quietly(action: () => unknown): void {
  try {
    action()
  } catch {
    // The lock is a courtesy; the trail itself shows a second writer.
  }
}
