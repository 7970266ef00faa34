import { quoted } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'

/** One key, whatever its name. */
export const ONE: unique symbol = Symbol('*')
/** Any number of keys, none included. */
export const ANY: unique symbol = Symbol('**')

/** One step of a path: a key by its exact name, or a wildcard. */
export type Segment = string | typeof ONE | typeof ANY

const ESCAPED = new Set(['.', '*', '\\'])

/**
 * Reads a path: keys separated by `.`; `*` for any one key, `**` for any number of keys; `\.`, `\*` and `\\` for those
 * characters themselves.
 *
 * @throws ConfigError for an empty segment, a wildcard inside a key, an unknown escape, and `**` at the end
 */
export function parsePath(option: string, path: string): readonly Segment[] {
  const wrong = (why: string): never => {
    throw new ConfigError(`${option} has the path ${quoted(path)}, ${why}`, 'invalid-path')
  }
  const segments: Segment[] = []
  let name = ''
  let stars = 0

  const close = (): void => {
    if (stars > 0 && name !== '') wrong('where a "*" stands inside a key; write "\\*" for a star')
    if (stars > 2) wrong('which has more than two stars in a row')
    if (stars === 0 && name === '') wrong('which has an empty segment')
    if (stars === 2 && segments.at(-1) === ANY) wrong('where "**" follows "**"; one is enough')
    segments.push(stars === 0 ? name : stars === 1 ? ONE : ANY)
    name = ''
    stars = 0
  }

  for (let i = 0; i < path.length; i++) {
    const character = path[i]!
    if (character === '.') close()
    else if (character === '*') stars++
    else if (character === '\\') {
      const next = path[++i] ?? ''
      if (!ESCAPED.has(next)) wrong('where a "\\" stands before something else than . * \\')
      name += next
    } else name += character
  }
  close()
  if (segments.at(-1) === ANY) wrong('which ends in "**"; without it the whole value below is masked')
  return segments
}
