import { asJson, asJsonBy, isRawJson } from '../lib/as-json.js'
import { isStrayPromise } from '../lib/when.js'
import type { State } from './mask-automaton.js'
import { compileObject, type MemberMask, type Show } from './mask-object.js'
import { REDACTED } from './mask-styles.js'

/** A path of the map, ready to be applied. */
export interface Pattern {
  readonly path: string
  readonly style: 'redact' | 'last4' | 'email' | 'hash' | 'own'
  readonly apply: (value: unknown) => unknown
  /** Which of the rules excuses from this pattern; `undefined` if none does. */
  readonly unless: number | undefined
}

/**
 * One pass over one reply. Every object and array that a masked path leads through is copied first and read once, as
 * `JSON.stringify` would read it: getters, `toJSON` and proxies cannot show the mask one thing and the wire another.
 * What no path leads into is shared with the original.
 */
export class Walk implements MemberMask {
  readonly isWatched: boolean
  private readonly ancestors: unknown[] = []
  private depth = 0

  /**
   * @param held which rules the caller satisfies
   * @param hits collects the patterns that masked something, if anybody wants to know
   */
  constructor(
    private readonly patterns: readonly Pattern[],
    private readonly maxDepth: number,
    private readonly held: readonly boolean[],
    private readonly hits: Set<number> | undefined,
  ) {
    this.isWatched = hits !== undefined
  }

  /** @throws RangeError if the value is nested too deep, TypeError if it contains itself */
  value(raw: unknown, key: string | number, state: State): unknown {
    return this.read(typeof raw === 'string' ? raw : asJson(raw, key), state)
  }

  object(value: object, toJSON: unknown, key: string, state: State): unknown {
    return this.read(asJsonBy(toJSON, value, key), state)
  }

  private read(value: unknown, state: State): unknown {
    if (typeof value !== 'object' || value === null || isRawJson(value)) {
      return state.ending.length === 0 ? value : this.styled(value, state)
    }
    const isArray = Array.isArray(value)
    if (state.ending.length > 0 && !isArray && this.hidesWhole(state)) return REDACTED

    const copy = isArray ? this.array(value, state) : this.plain(value, state)
    return state.ending.length === 0 || isArray ? copy : this.styled(copy, state)
  }

  plain(value: object, state: State): object {
    this.enter(value)
    const copy = this.copied(value, state)
    this.depth--
    return copy
  }

  private enter(value: object): void {
    const { ancestors, depth, maxDepth } = this
    if (depth === maxDepth) throw new RangeError(`nested more than ${maxDepth} levels deep`)
    for (let i = 0; i < depth; i++) if (ancestors[i] === value) throw new TypeError('a value contains itself')
    ancestors[depth] = value
    this.depth++
  }

  private copied(value: object, state: State): object {
    const { byName, other } = state
    if (other === undefined) return (state.object ??= compileObject(state, this.shows(state)))(this, value)

    const copy: Record<string, unknown> = { ...value }
    // As in `maskNames`.
    if (typeof copy['toJSON'] === 'function') copy['toJSON'] = undefined
    for (const key of Object.keys(copy)) {
      const next = byName.get(key) ?? other
      const member = copy[key]
      if (next.ending.length > 0 || !isPlain(member)) copy[key] = this.value(member, key, next)
    }
    return copy
  }

  /** For each name of a state the style that strings get there, where only one path ends, and for everybody. */
  private shows({ targets }: State): (Show | undefined)[] {
    return targets.map(({ ending }) => {
      const pattern = ending.length === 1 ? this.patterns[ending[0]!]! : undefined
      const holds = pattern !== undefined && pattern.unless === undefined && pattern.style !== 'own'
      return holds ? pattern.apply : undefined
    })
  }

  private array(value: readonly unknown[], state: State): unknown[] {
    this.enter(value)
    const { element, elementAt } = state
    const { length } = value
    const copy: unknown[] = []
    for (let i = 0; i < length; i++) {
      const member = value[i]
      const next = elementAt.size === 0 ? element : (elementAt.get(String(i)) ?? element)
      copy.push(next.ending.length === 0 && isPlain(member) ? member : this.value(member, i, next))
    }
    this.depth--
    return copy
  }

  /** Only an own function has something to say about an object; all other styles hide it whole. */
  private hidesWhole({ ending }: State): boolean {
    let hides = false
    for (const index of ending) {
      const { style } = this.patterns[index]!
      if (style !== 'own' && this.applies(index)) hides = true
    }
    return hides
  }

  /** All patterns apply, one after the other. Once nothing is shown, nothing more can be hidden. */
  private styled(value: unknown, { ending }: State): unknown {
    let shown = value
    for (const index of ending) {
      if (isLeftOut(shown)) return shown
      if (shown === REDACTED || !this.applies(index)) continue
      const { style, apply } = this.patterns[index]!
      // Of nothing there is no part to show, and no function has to expect it.
      if (shown === null && style !== 'redact') continue
      shown = apply(shown)
      if (isStrayPromise(shown))
        throw new TypeError('a mask style returned a promise; it must answer at once')
    }
    return shown
  }

  private applies(index: number): boolean {
    const { unless } = this.patterns[index]!
    if (unless !== undefined && this.held[unless] === true) return false
    this.hits?.add(index)
    return true
  }
}

function isLeftOut(value: unknown): boolean {
  return value === undefined || typeof value === 'function' || typeof value === 'symbol'
}

/** Nothing that JSON would look into. */
function isPlain(value: unknown): boolean {
  const type = typeof value
  return type === 'string' || type === 'number' || type === 'boolean' || value === null || value === undefined
}
