import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { isIntact, parseLine, type AuditHead, type ChainLine } from './audit-chain.js'
import { checker, parseCheckpoint, type AuditKey, type Checker } from './audit-checkpoint.js'
import { linesOf, type RawLine } from './audit-lines.js'
import { ChainOrder } from './audit-order.js'
import { Unproven, type UnprovenLines } from './audit-unproven.js'
import { ProblemList, type AuditProblem, type Place } from './audit-problem.js'

export interface VerifyAuditOptions {
  /** Ed25519 public keys, as PEM text or `KeyObject`, that checkpoints must be signed with: several after a change of keys. Default: signatures are not checked, and a trail rewritten as a whole is not noticed. */
  publicKey?: AuditKey | readonly AuditKey[]
  /** The newest head that `onCheckpoint` gave you and you kept elsewhere. Default: lines cut off at the end, and an old copy of the file, are not noticed. */
  head?: AuditHead
}

/** What can be said about a trail. */
export interface AuditVerification {
  /** No problem was found. Says as much as `signedTo`, `unproven` and `tail` allow it to. */
  readonly ok: boolean
  /** Lines read, in all files. */
  readonly lines: number
  /** Number of the first line in its trail. Above 1, earlier lines are in an earlier file, which was not given. */
  readonly first: number
  /** What is wrong, by place; at most 1000. */
  readonly problems: readonly AuditProblem[]
  /** Problems beyond those. */
  readonly unlisted: number
  /** Number of the last line that a valid signature vouches for, but for `unproven`. 0 without `publicKey`: then somebody may have rewritten everything. */
  readonly signedTo: number
  /** Lines up to there that no signature vouches for all the same, by number; at most 1001 ranges. */
  readonly unproven: readonly UnprovenLines[]
  /** `proven`: the trail reaches the head that was kept elsewhere. `unproven`: lines may have been cut off at the end. */
  readonly tail: 'proven' | 'unproven'
  /** Lines behind that head: part of the chain, but nobody can tell whether more followed. */
  readonly behindHead: number
  /** The head of what was read. `undefined` if nothing in it is a trail. */
  readonly head: AuditHead | undefined
}

/**
 * Checks an audit file written by `audit({ file })`, or the files of a rotated trail from oldest to newest: hash chain,
 * signatures, and the end against a head kept elsewhere. Reads in chunks; memory does not grow with the file. Rejects with the
 * system's error if a file cannot be read; whatever a file contains is an answer, not an error.
 *
 * @example
 * const { ok, problems, tail } = await verifyAudit('/var/log/orders/audit.jsonl', { publicKey, head })
 *
 * @throws ConfigError for no file, an unknown option, one that is `undefined`, a key that is no Ed25519 public key, and a head that is none
 */
export async function verifyAudit(
  file: string | readonly string[],
  options: VerifyAuditOptions = {},
): Promise<AuditVerification> {
  const files = filesOf(file)
  knownKeys('verifyAudit', options, OPTIONS, OPTIONS)
  const verifier = new Verifier(checkersOf(options.publicKey), headOf(options.head))
  for (const [index, path] of files.entries()) {
    let line = 0
    for await (const batch of linesOf(path)) {
      for (const raw of batch) verifier.add(raw, { file: index, line: ++line })
    }
  }
  return verifier.result()
}

class Verifier {
  private readonly problems = new ProblemList()
  private readonly unproven = new Unproven()
  private readonly order = new ChainOrder(this.problems, (line, place) => this.accepted(line, place))
  private lines = 0
  private lastPlace: Place = { file: 0, line: 1 }
  private lastLine: ChainLine | undefined
  private chain: string | undefined
  private signedTo = 0
  /** Lines allowed without a checkpoint, as the last signed one promised. */
  private every = Infinity
  private overdue = false
  private headFound = false

  constructor(
    private readonly checkers: readonly Checker[] | undefined,
    private readonly head: AuditHead | undefined,
  ) {}

  add({ text, torn, tooLong }: RawLine, place: Place): void {
    this.lines++
    this.lastPlace = place
    if (torn) return this.problems.add('torn', place, 'The file stops within this line.')
    const chain = tooLong ? undefined : parseLine(text)
    const intact = chain !== undefined && isIntact(chain)
    this.order.add({ file: place.file, line: place.line, chain, intact })
  }

  result(): AuditVerification {
    const { order, problems, lastLine, head } = this
    order.end()
    if (this.checkers !== undefined && this.signedTo === 0) {
      problems.add('bad-signature', { file: 0, line: 1 }, 'No checkpoint was signed with this key.')
    }
    if (head !== undefined) this.compare(head)
    return {
      ok: problems.listed.length === 0,
      lines: this.lines,
      first: order.first ?? 1,
      problems: problems.sorted(),
      unlisted: problems.unlisted,
      signedTo: this.signedTo,
      unproven: this.unproven.list(order.first ?? 1),
      tail: this.headFound ? 'proven' : 'unproven',
      behindHead: this.headFound && lastLine !== undefined ? lastLine.seq - head!.count : 0,
      head: lastLine && {
        chain: this.chain ?? '',
        count: lastLine.seq,
        hash: lastLine.hash,
        time: timeOf(lastLine),
      },
    }
  }

  /** The trail must contain the head; behind it, it may have grown. */
  private compare(head: AuditHead): void {
    if (this.chain !== undefined && this.chain !== head.chain) {
      return this.problems.add('replayed', { file: 0, line: 1 }, 'It is another trail than that of the head.')
    }
    if (this.headFound || (this.order.first ?? 1) > head.count) return
    if ((this.lastLine?.seq ?? 0) < head.count) {
      this.problems.add('truncated', this.lastPlace, `The head was line ${head.count} of the trail.`)
    }
  }

  private accepted(line: ChainLine, place: Place): void {
    this.lastLine = line
    if (line.seq === this.head?.count) {
      this.headFound = line.hash === this.head.hash
      if (!this.headFound && this.chain === this.head.chain) {
        this.problems.add('changed', place, 'It is not the line that the head was taken from.')
      }
    }
    const checkpoint = parseCheckpoint(line)
    if (checkpoint === undefined) return this.countLoose(line, place)
    this.chain ??= checkpoint.chain
    const first = this.order.first ?? 1
    if (this.checkers === undefined) return this.unproven.checkpoint(checkpoint, line.seq, first)

    const { signature, signed, key } = checkpoint
    const valid =
      signature !== undefined &&
      this.checkers.some((one) => one.keyId === key && one.verify(signed, signature))
    if (!valid)
      return this.problems.add('bad-signature', place, 'This checkpoint was not signed with the key.')
    this.unproven.checkpoint(checkpoint, line.seq, first)
    this.signedTo = line.seq
    this.every = checkpoint.every
    this.overdue = false
  }

  /** Whoever cannot sign cannot go on for long: each checkpoint promises when the next one will come. */
  private countLoose(line: ChainLine, place: Place): void {
    if (this.overdue || this.signedTo === 0 || line.seq - this.signedTo <= this.every) return
    this.overdue = true
    this.problems.add('bad-signature', place, `No signed checkpoint for more than ${this.every} lines.`)
  }
}

/** Named but missing by a slip, either would leave a trail that was made up unnoticed. */
const OPTIONS = ['publicKey', 'head'] satisfies (keyof VerifyAuditOptions)[]

/** Without a file there is nothing wrong, and nothing right. */
function filesOf(file: unknown): readonly string[] {
  const files: readonly unknown[] = Array.isArray(file) ? file : [file]
  if (files.length > 0 && files.every((one) => typeof one === 'string' && one !== ''))
    return files as readonly string[]
  throw new ConfigError(`verifyAudit needs the path of a file, or a list of paths, got ${show(file)}`)
}

function checkersOf(publicKey: VerifyAuditOptions['publicKey']): readonly Checker[] | undefined {
  if (publicKey === undefined) return undefined
  const keys: readonly unknown[] = Array.isArray(publicKey) ? publicKey : [publicKey]
  return keys.length > 0 ? keys.map(checker) : [checker(undefined)]
}

function headOf(head: AuditHead | undefined): AuditHead | undefined {
  if (head === undefined) return undefined
  const { chain, count, hash } = Object(head) as AuditHead
  if (typeof chain === 'string' && Number.isSafeInteger(count) && count > 0 && typeof hash === 'string')
    return head
  throw new ConfigError(
    'verifyAudit.head must be a head that onCheckpoint was called with: { chain, count, hash, time }',
  )
}

function timeOf({ content }: ChainLine): string {
  return /"time":"([^"]{24})"/.exec(content)?.[1] ?? ''
}
