import { hash, randomBytes } from 'node:crypto'
import { isClosing, parseCheckpoint } from './audit-checkpoint.js'
import { isIntact, LINE_MAX, ORIGIN, parseLine, type ChainLine, type Link } from './audit-chain.js'
import type { FileSystem } from './audit-files.js'

/** Where an existing file lets the chain go on. */
export interface Resumed {
  readonly chain: string
  readonly link: Link
  /** Bytes to keep; what stands behind them is the torn end of a line. */
  readonly size: number
  /** How the run before ended: with a closing line, or cut off; `none` for a new file. */
  readonly previous: 'closed' | 'cut' | 'none'
  /** The torn end that will be cut off. */
  readonly torn: { readonly bytes: number; readonly sha256: string } | undefined
  /** Lines at the end that are not ours, or were changed. They stay, and verification names them. */
  readonly invalidLines: number
}

/** How far back the last good line is looked for. */
const WINDOW = 16 * LINE_MAX

/**
 * Finds the last good line of a file, reading its first line and its last megabyte only. `undefined` if nothing in it is
 * ours: what was not made here must not be cut or appended to.
 */
export function resume(files: FileSystem, path: string): Resumed | undefined {
  const fd = files.openSync(path, 'r')
  try {
    const { size } = files.fstatSync(fd)
    if (size === 0) return fresh(0, undefined)

    const from = Math.max(0, size - WINDOW)
    const window = read(files, fd, from, size - from)
    const end = window.lastIndexOf('\n') + 1
    const torn = tornOf(window.slice(end))
    if (end === 0) return from === 0 && isTornStart(window) ? fresh(0, torn) : undefined

    const chain = chainOf(read(files, fd, 0, LINE_MAX))
    const last = lastGood(window.slice(0, end), from > 0)
    if (chain === undefined || last === undefined) return undefined
    const why = last.invalidLines === 0 ? parseCheckpoint(last.line)?.why : undefined
    return {
      chain,
      link: last.line,
      size: from + end,
      previous: torn === undefined && why !== undefined && isClosing(why) ? 'closed' : 'cut',
      torn,
      invalidLines: last.invalidLines,
    }
  } finally {
    files.closeSync(fd)
  }
}

/** A trail that begins here. */
export function fresh(size: number, torn: Resumed['torn']): Resumed {
  const chain = randomBytes(16).toString('base64url')
  return { chain, link: ORIGIN, size, previous: 'none', torn, invalidLines: 0 }
}

function lastGood(text: string, cutAtStart: boolean): { line: ChainLine; invalidLines: number } | undefined {
  const lines = text.split('\n')
  lines.pop()
  if (cutAtStart) lines.shift()
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = parseLine(lines[i]!)
    if (line !== undefined && isIntact(line)) return { line, invalidLines: lines.length - 1 - i }
  }
  return undefined
}

/** Every file begins with a checkpoint, which names the trail. */
function chainOf(start: string): string | undefined {
  const line = parseLine(start.slice(0, start.indexOf('\n')))
  return line && parseCheckpoint(line)?.chain
}

function tornOf(rest: string): Resumed['torn'] {
  if (rest === '') return undefined
  return { bytes: rest.length, sha256: hash('sha256', Buffer.from(rest, 'latin1'), 'hex') }
}

/** The process died within its very first line, or the disk left zeros where it was to be. */
function isTornStart(text: string): boolean {
  const start = '{"seq":1,"prev":""'
  return text.slice(0, start.length) === start.slice(0, text.length) || /^\0+$/.test(text)
}

function read(files: FileSystem, fd: number, from: number, length: number): string {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const bytes = files.readSync(fd, buffer, done, length - done, from + done)
    if (bytes === 0) break
    done += bytes
  }
  return buffer.toString('latin1', 0, done)
}
