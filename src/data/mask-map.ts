import { integer, membersOf, quoted } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { compileRule, type CompiledCatalogue, type CompiledRule, type Rule } from '../kernel/rule.js'
import { compilePaths, type State } from './mask-automaton.js'
import { ANY, parsePath } from './mask-path.js'
import { compileStyle, hashKey, type HashKey, type Style } from './mask-styles.js'
import { Walk, type Pattern } from './mask-walk.js'

/**
 * What is hidden, by path: `{ 'card.number': 'last4', '**.ssn': { as: 'redact', unless: 'pii:read' } }`. `*` is any one
 * key, `**` any number of keys, `\.` a dot in a key. Arrays take no segment: `items.card` reaches the card of every item.
 * Keys are compared exactly, case included.
 */
export type MaskMap = Readonly<Record<string, Style | MaskException>>

/** A style for everyone except callers who satisfy a rule. */
export interface MaskException {
  readonly as: Style
  /** Who sees the value itself. A caller who is not known never does. */
  readonly unless: Rule
}

export interface MaskLimits {
  /** The secret of `hash`, at least 32 bytes: a string, Buffer or KeyObject. No default; `hash` without it is a `ConfigError`. */
  key?: HashKey | undefined
  /**
   * How many objects and arrays may lie within one another on the way to a masked value. Default 200, at most 1 000.
   * Deeper, and the reply is refused: 500 `unshapable`.
   */
  maxDepth?: number
}

/** A checked map. Made once at start. */
export interface CompiledMask {
  readonly patterns: readonly Pattern[]
  /** The distinct `unless` rules; each is asked once per reply. */
  readonly rules: readonly CompiledRule[]
  readonly maxDepth: number
  /**
   * A copy of `value` that shows no more than the map allows.
   *
   * @param held which of `rules` the caller satisfies
   * @param hits collects the indices of the patterns that masked something
   * @throws if the value cannot be masked for certain
   */
  readonly apply: (value: unknown, held: readonly boolean[], hits?: Set<number>) => unknown
}

/**
 * @param catalogue what `unless` rules are checked against; `undefined`: they are ignored, and everything is masked
 * @param anywhere whether each path may begin at any depth
 * @throws ConfigError for an empty map, a malformed path, style or rule, and `hash` without a key
 */
export function compileMap(
  option: string,
  map: MaskMap,
  { key, maxDepth = 200 }: MaskLimits,
  catalogue: CompiledCatalogue | undefined,
  anywhere = false,
): CompiledMask {
  integer(`${option}.maxDepth`, maxDepth, { min: 1, max: 1_000 })
  const secret = key === undefined ? undefined : hashKey(`${option}.key`, key)
  const rules = new Map<string, CompiledRule>()

  const unless = (at: string, rule: Rule): number | undefined => {
    if (catalogue === undefined) return undefined
    const compiled = compileRule(at, rule, catalogue)
    const text = JSON.stringify(rule)
    if (!rules.has(text)) rules.set(text, compiled)
    return [...rules.keys()].indexOf(text)
  }

  const entries = entriesOf(option, map)
  const patterns = entries.map(([path, value]): Pattern => {
    const at = `${option}[${JSON.stringify(path)}]`
    const exception = exceptionOf(at, value)
    const style = exception?.as ?? (value as Style)
    return {
      path,
      style: typeof style === 'function' ? 'own' : style,
      apply: compileStyle(exception === undefined ? at : `${at}.as`, style, secret),
      unless: exception && unless(`${at}.unless`, exception.unless),
    }
  })
  const start: State = compilePaths(
    option,
    entries.map(([path]) => {
      const segments = parsePath(option, path)
      return anywhere && segments[0] !== ANY ? [ANY, ...segments] : segments
    }),
  )

  return {
    patterns,
    rules: [...rules.values()],
    maxDepth,
    apply: (value, held, hits) => new Walk(patterns, maxDepth, held, hits).value(value, '', start),
  }
}

function entriesOf(option: string, map: unknown): [string, unknown][] {
  const entries = membersOf(option, map, 'that maps paths to styles')
  if (entries.length > 0) return entries
  throw new ConfigError(
    `${option} must map at least one path to a style, such as { 'card.number': 'last4' }, got an empty object`,
    'empty-map',
  )
}

function exceptionOf(option: string, value: unknown): MaskException | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const keys = Object.keys(value)
  if (keys.length === 2 && keys.includes('as') && keys.includes('unless')) return value as MaskException
  throw new ConfigError(
    `${option} must be a style, or an object with both "as" and "unless", got ${
      Array.isArray(value)
        ? 'an array'
        : `an object with ${keys.length === 0 ? 'nothing' : keys.map(quoted).join(', ')}`
    }`,
  )
}
