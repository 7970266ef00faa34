import { inTime } from '../lib/in-time.js'
import type { SecurityContext } from './context.js'
import type { Stage } from './stage.js'

const DEFAULT_MS = 30_000

/** What a stage is waiting for, or a rejection once it has waited too long: a hung stage must not hang a request. */
export function answerInTime<T>(ctx: SecurityContext, stage: Stage, answer: PromiseLike<T>): PromiseLike<T> {
  const { name, timeoutMs = DEFAULT_MS } = stage
  // A promise of somebody else's may throw when it is asked, or answer at once.
  if (timeoutMs === false) return Promise.resolve(answer)
  return inTime(
    ctx.services.clock,
    timeoutMs,
    Promise.resolve(answer),
    () => new Error(`${name} gave no answer within ${timeoutMs} ms`),
  )
}
