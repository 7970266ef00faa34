import { isThenable } from '../lib/when.js'
import type { Later, RecordStore } from './ports.js'

/** Records under several keys: by one question if the store knows how, else by one for each, all at once. */
export function getMany(
  store: RecordStore,
  space: string,
  keys: readonly string[],
): Later<readonly (string | undefined)[]> {
  if (store.getMany !== undefined) return store.getMany(space, keys)
  const found = keys.map((key) => store.get(space, key))
  return found.some((one) => isThenable(one))
    ? Promise.all(found.map(async (one) => one))
    : (found as (string | undefined)[])
}
