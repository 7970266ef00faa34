import { attempt } from './attempt.js'

const tasks = new Set<() => void>()

/**
 * Does something while the process ends, after `process.exit()` too. However many ask for it, the process has one listener more:
 * more than ten would look like a leak. Returns how to call it off.
 */
export function atExit(task: () => void): () => void {
  if (tasks.size === 0) process.on('exit', doAll)
  tasks.add(task)
  return () => {
    if (tasks.delete(task) && tasks.size === 0) process.off('exit', doAll)
  }
}

/** One that fails does not keep the others from being done. */
function doAll(): void {
  for (const task of tasks) attempt(task, undefined)
}
