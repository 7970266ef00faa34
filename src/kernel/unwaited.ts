import type { Later } from './ports.js'

/** Writes something beside the request, for which nobody waits. The guard of the store has already told the operator of whatever fails. */
export function unwaited(write: () => Later<unknown>): void {
  Promise.resolve()
    .then(write)
    .catch(() => undefined)
}
