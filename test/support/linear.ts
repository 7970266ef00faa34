import { checkSync } from 'recheck'

// recheck also brings native programs, which are faster but need not be run.
process.env.RECHECK_BACKEND = 'pure'

/**
 * Why a regular expression may take more than linear time on some input; `undefined` if it provably does not. Decided on
 * the expression's automaton, not by the clock.
 */
export function superLinear(source: string, flags: string): string | undefined {
  const found = checkSync(source, flags, { timeout: 30_000 })
  if (found.status === 'safe') return undefined
  return found.status === 'vulnerable' ? found.complexity.summary : 'cannot be decided'
}
