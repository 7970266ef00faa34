import { isThenable } from '../lib/when.js'
import type { SecurityContext } from './context.js'
import type { Services } from './services.js'
import type { Stage } from './stage.js'

/**
 * Lets `stages` know when the exchange is over, however it ends. Each settles once, those that came last first, with the
 * services that were in force when it came.
 */
export function settleLater(ctx: SecurityContext, stages: readonly Stage[]): void {
  if (ctx.settling !== undefined) {
    const { services } = ctx
    ctx.settling = [...ctx.settling, ...stages.map((stage) => settlingWith(services, stage))]
    return
  }
  ctx.settling = stages

  const { res, services } = ctx
  const { socket } = ctx.req
  const over = (): void => {
    socket.off('close', over)
    ctx.use(services)
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

function settlingWith(services: Services, stage: Stage): Stage {
  const settle = (ctx: SecurityContext): unknown =>
    ctx.using(services, () => (stage as { settle(ctx: SecurityContext): unknown }).settle(ctx))
  return Object.create(stage, { settle: { value: settle } }) as Stage
}
