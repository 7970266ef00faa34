import type { Layer } from './app-walk.js'
import { markOf, type GuardMark } from './guard-mark.js'
import { mayAnswer, mustAnswer } from './handlers.js'
import { isInFront } from './in-front.js'

/** What stands between the client and the handler of a layer. */
export interface Standing {
  /** What may answer; empty if the layer only passes on. */
  readonly answering: readonly unknown[]
  /** The API and its guards that every request has met before, in order. */
  readonly guards: readonly GuardMark[]
  /** The API is met before anything of this layer runs. */
  readonly isEntered: boolean
  /** A guard that only stands behind what answers. */
  readonly isGuardUseless: boolean
  /** A handler of the layer stands before its first guard. */
  readonly isGuardLate: boolean
}

/** @param marked layers that are an API or a guard */
export function standingOf(layer: Layer, marked: readonly Layer[], api: object): Standing {
  const before = marked
    .filter((each) => isInFront(each, layer))
    .flatMap(({ handlers }) => guardsIn(handlers, api))

  const { handlers } = layer
  const ending = handlers.findIndex((handler) => markOf(handler) === undefined && mustAnswer(handler))
  const last =
    ending === -1
      ? handlers.findLastIndex((handler) => markOf(handler) === undefined && mayAnswer(handler))
      : ending
  const inside = guardsIn(handlers.slice(0, Math.max(last, 0)), api)
  const first = handlers.findIndex((handler) => markOf(handler)?.by === api)
  const early = first === -1 ? [] : handlers.slice(0, Math.min(first, last))

  const isGuardLate = inside.length > 0 && early.some(mayAnswer)

  return {
    answering: handlers
      .slice(0, last + 1)
      .filter((handler) => markOf(handler) === undefined && mayAnswer(handler)),
    guards: [...before, ...inside],
    isEntered: before.length > 0 || (inside.length > 0 && !isGuardLate),
    isGuardUseless: last >= 0 && guardsIn(handlers, api).length > inside.length,
    isGuardLate,
  }
}

function guardsIn(handlers: readonly unknown[], api: object): GuardMark[] {
  return handlers.map(markOf).filter((mark) => mark?.by === api) as GuardMark[]
}
