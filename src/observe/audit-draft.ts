import { contentAfter, sealed, type AuditHead, type Link } from './audit-chain.js'
import { checkpointAfter, type CheckpointFacts, type Signer } from './audit-checkpoint.js'

/** Lines about to be written. The chain itself moves on only when they are: a line that failed to be written leaves no hole. */
export class Draft {
  text = ''
  /** Lines behind the last checkpoint. */
  loose: number
  /** What to keep elsewhere, if a checkpoint is among them. */
  head: AuditHead | undefined

  constructor(
    public link: Link,
    loose: number,
    private readonly signer: Signer | undefined,
  ) {
    this.loose = loose
  }

  event(members: string): void {
    this.add(contentAfter(this.link, members))
    this.loose++
  }

  checkpoint(facts: CheckpointFacts): void {
    this.add(checkpointAfter(this.link, facts, this.signer))
    this.loose = 0
    this.head = { chain: facts.chain, count: this.link.seq, hash: this.link.hash, time: facts.time }
  }

  private add(content: string): void {
    const { line, hash } = sealed(content)
    this.text += `${line}\n`
    this.link = { seq: this.link.seq + 1, hash }
  }
}
