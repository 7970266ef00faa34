import { clearImmediate, setImmediate } from './immediate.js'

/** The turn of the event loop that this process is in. */
const turn = { ending: [] as (() => void)[], end: undefined as NodeJS.Immediate | undefined, moves: 0 }

/** So often the end of a turn makes room for what goes in step: more than a turn brings, and not for ever. */
const MOST_MOVES = 10_000

/**
 * Calls `go` when the event loop has read all that is there to read, in the same turn, and in the asynchronous context of now.
 * Under load that is for many requests, and to do one thing for all of them and then the next takes a quarter less time than to
 * do everything for one after the other: the processor finds the code where it left it. docs/decisions/in-step.md
 */
export function inStep(go: () => void): void {
  setImmediate(go)
  if (turn.end !== undefined) {
    if (turn.moves === MOST_MOVES) return
    turn.moves++
    clearImmediate(turn.end)
  }
  turn.end = setImmediate(endTurn)
}

/** Calls `work` at the end of the turn, behind all that goes in step in it. */
export function atEndOfTurn(work: () => void): void {
  turn.ending.push(work)
  turn.end ??= setImmediate(endTurn)
}

function endTurn(): void {
  const works = turn.ending
  turn.ending = []
  turn.end = undefined
  turn.moves = 0
  for (const work of works) work()
}
