import type { ServerResponse } from 'node:http'
import type { SecurityContext } from './context.js'
import { refuse, type Problem } from './problem.js'
import { isBodyless, mediaTypeOf, unshapable } from './unshapable.js'

/** Looks at a reply right before its first byte; what it returns is sent in the reply's place. */
export type Veto = (ctx: SecurityContext) => Problem | undefined

/** Whether a reply may go out as it is. Given once, when its first byte is to be written. */
export class ReplyVerdict {
  /** What is written now did not pass the shapers that it should. */
  raw = false
  given = false
  private readonly vetoes: Veto[] = []
  /** What it was about, until the head is written: status and type, and the first bytes, or `null` for none. */
  private subject: string | undefined = undefined
  private body: unknown = undefined

  constructor(private readonly ctx: SecurityContext) {}

  addVeto(veto: Veto): void {
    this.vetoes.push(veto)
  }

  /** Why the reply may not go out. `body` as in `unshapable`. */
  objection(body: unknown): Problem | undefined {
    for (const veto of this.vetoes) {
      const problem = veto(this.ctx)
      if (problem !== undefined) return problem
    }
    return this.raw && unshapable(this.ctx.res, body) ? UNSHAPED : undefined
  }

  give(body: unknown): void {
    const { ctx } = this
    const { res } = ctx
    this.given = true
    if (!res.headersSent) {
      this.subject = subjectOf(res)
      this.body = body
    }
    if (this.raw && body !== null && !isBodyless(res)) ctx.record('unshaped', { mediaType: mediaTypeOf(res) })
  }

  /** What lies between us and the wire may have changed, while it wrote the head, what was judged. */
  reconsider(): Problem | undefined {
    const { subject, body } = this
    if (subject === undefined) return undefined
    this.subject = this.body = undefined
    return subjectOf(this.ctx.res) === subject ? undefined : this.objection(body)
  }
}

const UNSHAPED = refuse('unshapable', {
  rule: 'unshaped-json',
  reason: 'a reply of JSON, or of no declared type, was not given to res.json(), so it could not be shaped',
})

function subjectOf(res: ServerResponse): string {
  return `${res.statusCode} ${String(res.getHeader('Content-Type'))}`
}
