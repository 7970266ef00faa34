import { ConfigError } from '../kernel/config-error.js'
import type { ObjectMask } from './mask-object.js'
import { ANY, ONE, type Segment } from './mask-path.js'

/** What is known after some keys: which paths end here, and where each next key leads. */
export interface State {
  /** Indices of the paths that end here, in the order they were given. */
  readonly ending: readonly number[]
  /** Keys that lead elsewhere than all others, and where to, side by side. */
  readonly names: readonly string[]
  readonly targets: readonly State[]
  readonly byName: ReadonlyMap<string, State>
  /** Where any other key leads; `undefined` if nothing below it is masked. */
  readonly other: State | undefined
  /** The state of an array's elements. An array takes no segment, but one that names the position is understood too. */
  readonly element: State
  readonly elementAt: ReadonlyMap<string, State>
  /** How objects are masked that are met here; made when the first one is. */
  object: ObjectMask | undefined
}

/** Enough for hundreds of paths; only many `*` behind a `**` multiply beyond. */
const MAX_STATES = 2_000

type Paths = readonly (readonly Segment[])[]

/** A path and how much of it was matched. */
interface Item {
  readonly path: number
  readonly at: number
}

type Transitions = Pick<State, 'names' | 'targets' | 'byName' | 'other'>

/**
 * All paths as one automaton, so that a value is walked once however many there are.
 *
 * @throws ConfigError if the paths together need too many states
 */
export function compilePaths(option: string, paths: Paths): State {
  return new Construction(option, paths).start()
}

/** The subset construction, at start: no state is made while a reply waits. */
class Construction {
  private readonly states = new Map<string, State>()
  private readonly transitions = new Map<string, Transitions>()
  private readonly unfinished: (() => void)[] = []

  constructor(
    private readonly option: string,
    private readonly paths: Paths,
  ) {}

  start(): State {
    const start = this.state(this.paths.flatMap((_, path) => withSkips(this.paths, { path, at: 0 })))!
    for (let next = this.unfinished.pop(); next !== undefined; next = this.unfinished.pop()) next()
    return start
  }

  private state(items: readonly Item[]): State | undefined {
    if (items.length === 0) return undefined
    const key = keyOf(items)
    const found = this.states.get(key)
    if (found !== undefined) return found
    if (this.states.size === MAX_STATES) {
      throw new ConfigError(
        `${this.option} has paths that multiply to more than ${MAX_STATES} combinations; use fewer "*" behind "**"`,
        'mask-too-complex',
      )
    }
    const begun = {
      object: undefined,
      ending: items.filter((item) => this.ended(item)).map(({ path }) => path),
    }
    const state = begun as unknown as State
    this.states.set(key, state)
    this.unfinished.push(() => Object.assign(begun, this.leads(items), this.elements(items)))
    return state
  }

  /** Where keys lead. What has ended leads nowhere, so that states which differ in nothing else share this. */
  private leads(items: readonly Item[]): Transitions {
    const live = items.filter((item) => !this.ended(item))
    const key = keyOf(live)
    let leads = this.transitions.get(key)
    if (leads === undefined) {
      const byName = new Map(
        namesIn(this.paths, live).map((name) => [name, this.state(step(this.paths, live, name))!]),
      )
      const other = this.state(step(this.paths, live, undefined))
      leads = { byName, names: [...byName.keys()], targets: [...byName.values()], other }
      this.transitions.set(key, leads)
    }
    return leads
  }

  private elements(items: readonly Item[]): Pick<State, 'element' | 'elementAt'> {
    const at = (key: string | undefined): State => this.state(union(items, step(this.paths, items, key)))!
    const positions = namesIn(this.paths, items).filter((name) => POSITION.test(name))
    return { element: at(undefined), elementAt: new Map(positions.map((name) => [name, at(name)])) }
  }

  private ended({ path, at }: Item): boolean {
    return at === this.paths[path]!.length
  }
}

const POSITION = /^(?:0|[1-9]\d{0,9})$/

function keyOf(items: readonly Item[]): string {
  return items.map(({ path, at }) => `${path}.${at}`).join(' ')
}

function namesIn(paths: Paths, items: readonly Item[]): string[] {
  const next = items.map(({ path, at }) => paths[path]![at])
  return [...new Set(next.filter((segment) => typeof segment === 'string'))]
}

/** What can have been matched after one more key; `undefined` is a key that no path names. */
function step(paths: Paths, items: readonly Item[], key: string | undefined): Item[] {
  return union(
    items.flatMap((item) => {
      const segment = paths[item.path]![item.at]
      if (segment === ANY) return withSkips(paths, item)
      return segment !== undefined && (segment === ONE || segment === key)
        ? withSkips(paths, { path: item.path, at: item.at + 1 })
        : []
    }),
  )
}

/** `**` also stands for no key at all. */
function withSkips(paths: Paths, item: Item): Item[] {
  return paths[item.path]![item.at] === ANY ? [item, { path: item.path, at: item.at + 1 }] : [item]
}

/** Sorted and without repetition, so that equal sets have equal keys. */
function union(...lists: readonly (readonly Item[])[]): Item[] {
  const all = lists.flat().sort((a, b) => a.path - b.path || a.at - b.at)
  return all.filter((item, i) => item.path !== all[i - 1]?.path || item.at !== all[i - 1]?.at)
}
