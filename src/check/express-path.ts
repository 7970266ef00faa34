/**
 * A path as an Express layer has it, in the vocabulary of `routes`: plain text, `:name` for one segment, and at the end
 * possibly `*` for whatever follows. It fits all that the layer fits; `exact`: and nothing else.
 */
export interface Path {
  readonly segments: readonly string[]
  readonly exact: boolean
}

export const ROOT: Path = { segments: [], exact: true }
/** Nothing is known of it. */
export const ANYWHERE: Path = { segments: ['*'], exact: false }

/** More spellings than this are not told apart. */
const MAX_ALTERNATIVES = 64

const TOKENS5 = /\\[^]|[:*]"(?:\\[^]|[^"\\])*"|[:*][$\u200c\u200d\p{ID_Continue}]+|[^]/gu

/** What Express 5 makes of a path: each way to read it, or `undefined` if it cannot be read. */
export function readPath5(path: string): Path[] | undefined {
  let readings: string[][] = [[]]
  const open: string[][][] = []
  const tokens = path.match(TOKENS5) ?? []
  for (const token of tokens) {
    if (token === '{') open.push(readings.map((reading) => [...reading]))
    else if (token === '}') readings = [...(open.pop() ?? []), ...readings]
    else for (const reading of readings) reading.push(token)
    if (readings.length > MAX_ALTERNATIVES) return undefined
  }
  return allOf(readings.map(segmentsOf))
}

function segmentsOf(tokens: readonly string[]): Path | undefined {
  if (tokens.length === 0) return ROOT
  if (tokens[0] !== '/') return tokens[0]!.startsWith('*') && tokens[0]!.length > 1 ? ANYWHERE : undefined
  const segments: string[][] = []
  for (const token of tokens) {
    if (token === '/' || token === String.raw`\/`) segments.push([])
    else segments.at(-1)!.push(token)
  }
  while (segments.at(-1)?.length === 0) segments.pop()
  return pathOf(
    segments.map((parts) => {
      if (parts.length === 0 || parts.some(isWildcard)) return undefined
      if (parts.some(isName)) return { name: parts.join(''), whole: parts.length === 1 }
      return parts.map((part) => part.replace(/^\\/, '')).join('')
    }),
  )
}

const isName = (token: string): boolean => token.startsWith(':') && token.length > 1
const isWildcard = (token: string): boolean => token.startsWith('*') && token.length > 1

const PLAIN4 = /^[\w.~!@&'=,;%-]+$/
/** `:id`, `:id?`, `:id(\\d+)`: what the parentheses hold can neither be empty nor take a slash. */
const NAME4 = /^:(\w+)(\((?:\\[dw]|[\w|-]|\[(?:\\[dw]|[\w-])+\]|\+|\{[1-9]\d?\})+\))?(\?)?$/
/** `:from-:to`, `:name.:ext?`. */
const MIXED4 = /^(?:[\w.~!@&'=,;%-]|:\w)+(?:\.:\w+\?)?$/

/** What Express 4 makes of a path: each way to read it, or `undefined` if it cannot be read. */
export function readPath4(path: string): Path[] | undefined {
  if (path === '') return [ROOT]
  if (path.startsWith('*')) return [ANYWHERE]
  if (!path.startsWith('/')) return undefined
  const parts = path.replace(/\/\?$/, '').slice(1).split('/')
  while (parts.at(-1) === '') parts.pop()

  let readings: (Segment | undefined)[][] = [[]]
  for (const part of parts) {
    // A quantifier here would be about the slash.
    if (/^[?+{]/.test(part) || (part.includes('|') && !NAME4.test(part))) return undefined
    const [, name, limited, optional] = NAME4.exec(part) ?? []
    const segment: Segment | undefined =
      name !== undefined
        ? { name, whole: limited === undefined && optional === undefined }
        : PLAIN4.test(part)
          ? part
          : MIXED4.test(part)
            ? { name: part, whole: false }
            : undefined
    const without = optional === undefined ? [] : readings
    readings = [...without, ...readings.map((reading) => [...reading, segment])]
    if (readings.length > MAX_ALTERNATIVES) return undefined
  }
  return allOf(readings.map(pathOf))
}

/** Express 4 keeps a mount only as the regular expression it made of it: `^\/v1\/?(?=\/|$)`. */
export function readMount4({ source, flags }: RegExp, names: readonly string[]): Path[] | undefined {
  if ((flags !== '' && flags !== 'i') || source.replaceAll(String.raw`\.`, '').includes('.')) return undefined
  let next = 0
  const tail = String.raw`\/?(?=\/|$)`
  const paths = `${source}|`.split(`${tail}|`)
  if (paths.pop() !== '') return undefined
  const read = paths.map((path) => {
    if (!path.startsWith('^')) return undefined
    const spelled = path
      .slice(1)
      .replaceAll(String.raw`(?:\/([^/]+?))`, () => `/:${names[next++] ?? 'name'}`)
      .replaceAll(/\\([/.])/g, '$1')
    return /[()[\]\\^$*+{}|]/.test(spelled) || spelled.includes('/?') ? undefined : readPath4(spelled)
  })
  return read.includes(undefined) ? undefined : read.flatMap((each) => each!)
}

/** Where one path may be read in several ways, which of them a router takes is not known. */
function allOf(readings: readonly (Path | undefined)[]): Path[] | undefined {
  const paths = readings.filter((path) => path !== undefined)
  if (paths.length < readings.length) return undefined
  return paths.length === 1 ? paths : paths.map((path) => ({ ...path, exact: false }))
}

/** Plain text, a name with or without more, or `undefined` for what may hold slashes. */
type Segment = string | { readonly name: string; readonly whole: boolean }

function pathOf(parts: readonly (Segment | undefined)[]): Path {
  const end = parts.indexOf(undefined)
  const known = (end === -1 ? parts : parts.slice(0, end)) as Segment[]
  const segments = known.map((part) => {
    if (typeof part === 'string') return /^[:*]/.test(part) ? nameOf(part) : part
    return nameOf(part.name)
  })
  return {
    segments: end === -1 ? segments : [...segments, '*'],
    exact: end === -1 && known.every((part) => (typeof part === 'string' ? !/^[:*]/.test(part) : part.whole)),
  }
}

/** As `routes` would take it, so that a finding can be copied. */
function nameOf(text: string): string {
  return `:${text.match(/\w+/g)?.join('_') ?? 'name'}`
}
