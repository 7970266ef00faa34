import type { SecurityContext } from './context.js'

/** There is nobody to serve. A reply that is pipelined behind another one does not hear of it. */
export function isGone({ req, res }: SecurityContext): boolean {
  return res.destroyed || req.socket.destroyed
}

/** The caller may be gone, or somebody else may have answered, while something waited. Then there is nobody to serve. */
export function isOver(ctx: SecurityContext): boolean {
  return isGone(ctx) || ctx.res.writableEnded
}
