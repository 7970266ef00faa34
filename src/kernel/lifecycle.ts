import type { Services } from './services.js'
import type { Stage } from './stage.js'

/** Resolves when every stage can decide at full speed. */
export async function readyAll(stages: readonly Stage[], services: Services): Promise<void> {
  await Promise.all(stages.map(async (stage) => stage.ready?.(services)))
}

/** Flushes and releases everything; one that fails does not keep the others from closing. */
export async function closeAll(stages: readonly Stage[], services: Services): Promise<void> {
  const { counters, records, once } = services
  const closing = [...stages, counters, records, once].map(async (one) => one.close?.())
  const failed = (await Promise.allSettled(closing)).find((one) => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
