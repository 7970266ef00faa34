import type { ServerResponse } from 'node:http'
import type { SecurityContext } from './context.js'
import type { Stage } from './stage.js'

/** Puts `stages` between the handler's JSON and the wire. */
export function addShapers(ctx: SecurityContext, stages: readonly Stage[]): void {
  const { res } = ctx as { res: ServerResponse & { json?: (body: unknown) => void } }
  const original = res.json
  res.json = (body) => {
    let shaped = body
    for (let i = stages.length - 1; i >= 0; i--) shaped = stages[i]!.shape!(ctx, shaped)
    if (original !== undefined) return original.call(res, shaped)
    res.setHeader('Content-Type', 'application/json; charset=utf-8')
    res.end(JSON.stringify(shaped))
  }
}

/** Lets a reply of our own pass: it carries nothing of the handler's. */
export function bypassShaping(res: ServerResponse): void {
  delete (res as { json?: unknown }).json
}
