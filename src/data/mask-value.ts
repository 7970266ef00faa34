import { compileMap, type MaskLimits, type MaskMap } from './mask-map.js'

export interface MaskValueOptions extends MaskLimits {
  /** Whether each path may begin at any depth, for values that are built otherwise than the replies. Default false. */
  anywhere?: boolean
  /** What to call the map in messages. Default `'mask'`. */
  option?: string
}

/**
 * A function that masks any value by the map of `mask`, for logs and audit events. Nobody is excused: `unless` is ignored.
 *
 * @returns what is given back is a copy; it throws if the value cannot be masked for certain
 */
export function maskValue(
  map: MaskMap,
  { anywhere = false, option = 'mask', ...limits }: MaskValueOptions = {},
): (value: unknown) => unknown {
  const { apply } = compileMap(option, map, limits, undefined, anywhere)
  return (value) => apply(value, NOTHING_HELD)
}

const NOTHING_HELD: readonly boolean[] = []
