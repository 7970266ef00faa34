import * as timers from 'node:timers'

/** Node's own, taken once: whoever tests an application with a clock that stands still must not stop its requests. */
export const { setImmediate, clearImmediate } = timers
