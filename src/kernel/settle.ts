import { isThenable } from '../lib/when.js'
import type { SecurityContext } from './context.js'
import type { Stage } from './stage.js'

/** Lets `stages` know when the exchange is over, however it ends. Each settles once, those that came last first. */
export function settleLater(ctx: SecurityContext, stages: readonly Stage[]): void {
  if (ctx.settling !== undefined) {
    ctx.settling = [...ctx.settling, ...stages]
    return
  }
  ctx.settling = stages

  const { res } = ctx
  const { socket } = ctx.req
  const over = (): void => {
    socket.off('close', over)
    settle(ctx)
  }
  res.on('close', over)
  if (res.socket !== null) return
  // Pipelined behind another reply, it gets no `close` of its own if the connection ends before its turn.
  socket.setMaxListeners(Math.max(socket.getMaxListeners(), socket.listenerCount('close') + 10))
  socket.on('close', over)
}

function settle(ctx: SecurityContext): void {
  const stages = ctx.settling ?? []
  ctx.settling = []
  for (let i = stages.length - 1; i >= 0; i--) {
    const stage = stages[i]!
    const failed = (cause: unknown): void =>
      ctx.services.log.error(`${stage.name}: settle failed`, { id: ctx.id, cause })
    try {
      const settling: unknown = stage.settle!(ctx)
      if (isThenable(settling)) settling.then(undefined, failed)
    } catch (cause) {
      failed(cause)
    }
  }
}
