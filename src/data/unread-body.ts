import type { SecurityContext } from '../kernel/context.js'
import { refuseReply } from '../kernel/reply.js'
import { bodyTooLarge } from '../kernel/body-faults.js'

/**
 * Counts a body of undeclared length while the application reads it, without reading it here: an own `push` stands where
 * Node's parser delivers each chunk. Over the ceiling the exchange is refused and no further chunk is delivered.
 */
export function countUnread(ctx: SecurityContext, maxBytes: number): void {
  const { req } = ctx
  const push = req.push.bind(req)
  let bytes = 0

  req.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (bytes > maxBytes) return false
    bytes += (chunk as Buffer | null)?.length ?? 0
    if (bytes <= maxBytes) return push(chunk, encoding)
    cut(ctx)
    return false
  }
}

function cut(ctx: SecurityContext): void {
  const { req, res } = ctx
  if (res.writableEnded) return void req.destroy()
  const problem = bodyTooLarge('unread-bytes')
  // Whoever reads the stream learns that its end will not come.
  res.once('close', () => req.destroy(new Error('The request body is larger than secure-api allows')))
  refuseReply(ctx, problem, 'body')
}
