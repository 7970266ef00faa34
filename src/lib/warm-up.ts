import { later } from './later.js'

/** By then the engine has compiled the loops that run through a large input. Half of them are worse than none. */
const ROUNDS = 40

/**
 * Has the engine compile some code soon after start, one piece in each turn of the event loop: a worst input that is among the
 * first requests of a process would otherwise be read by its interpreter, which takes ten times as long. The pieces must
 * show all that will be met, since what was compiled for less is thrown away when it meets more.
 *
 * @returns resolves once it is done
 */
export function warmUp(pieces: readonly (() => unknown)[]): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) later(pieces[round % pieces.length]!)
  return new Promise<void>(later)
}
