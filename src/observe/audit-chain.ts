import { hash } from 'node:crypto'

/**
 * The place a trail has reached, to be kept where whoever can write the file cannot: `verifyAudit` needs it to find a
 * file that was cut at its end or replaced by another one.
 */
export interface AuditHead {
  /** The trail this is the head of; a file that was started anew has another one. */
  readonly chain: string
  /** Lines in the trail up to here, those in rotated files included. */
  readonly count: number
  /** Hash of the last of them. */
  readonly hash: string
  readonly time: string
}

/** Where the next line goes. */
export interface Link {
  readonly seq: number
  readonly hash: string
}

/** A line that has the shape of ours. Whether it is true is another question. */
export interface ChainLine {
  readonly seq: number
  readonly prev: string
  readonly hash: string
  /** What the hash covers: everything before it. */
  readonly content: string
}

/** No line of ours is longer: the members of an event are bounded, and every character is one byte. */
export const LINE_MAX = 64 * 1024

/** Before the first line. */
export const ORIGIN: Link = { seq: 0, hash: '' }

const HEAD = /^\{"seq":([1-9][0-9]{0,15}),"prev":"([\w-]{43}|)",/
const TAIL = /,"hash":"([\w-]{43})"\}$/
const TAIL_LENGTH = ',"hash":""}'.length + 43
const LINE_DOMAIN = 'secure-api audit line 1\n'

/** SHA-256 of the exact bytes of a line, in a domain of its own: a hash from elsewhere fits nowhere in a chain. */
export function hashOf(content: string): string {
  return hash('sha256', LINE_DOMAIN + content, 'base64url')
}

/** A line with its own hash. To hash it is to join what it was made of, so the line is cut from that and not joined a second time. */
export function sealed(content: string): { line: string; hash: string } {
  const covered = LINE_DOMAIN + content
  const contentHash = hash('sha256', covered, 'base64url')
  return { line: lineOf(covered.slice(LINE_DOMAIN.length), contentHash), hash: contentHash }
}

/** What stands before the hash of the line that follows `link`. */
export function contentAfter({ seq, hash: prev }: Link, members: string): string {
  return `{"seq":${seq + 1},"prev":"${prev}",${members}`
}

/** Closes a line with its own hash, so that a changed line can be told from one that was moved. */
export function lineOf(content: string, contentHash: string): string {
  return `${content},"hash":"${contentHash}"}`
}

/** Reads by position, not as JSON: what the chain protects are bytes, and no second parser may see others. */
export function parseLine(line: string): ChainLine | undefined {
  if (line.length > LINE_MAX) return undefined
  const head = HEAD.exec(line)
  const tail = TAIL.exec(line.slice(-TAIL_LENGTH))
  if (head === null || tail === null) return undefined
  return {
    seq: Number(head[1]),
    prev: head[2]!,
    hash: tail[1]!,
    content: line.slice(0, -TAIL_LENGTH),
  }
}

export function isIntact(line: ChainLine): boolean {
  return hashOf(line.content) === line.hash
}
