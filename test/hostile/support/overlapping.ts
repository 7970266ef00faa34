import fc from 'fast-check'

/** A rule of `routes` and the route of Express it is written for. */
export interface Written {
  readonly method: 'GET' | 'POST' | '*'
  readonly segments: readonly string[]
  readonly says: Says
  /** Names its role, its parameter of the query and its field of the reply. */
  readonly mark: number
}

interface Says {
  readonly access: 'nothing' | 'role' | 'replace' | 'false' | 'public' | 'report'
  readonly mask: 'nothing' | 'hide' | 'false'
  readonly query: boolean
}

export interface Asked {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Marks of the parameters that are sent. */
  readonly query: readonly number[]
  /** Marks of the roles that the caller holds; `undefined`: nobody says who is calling. */
  readonly roles: readonly number[] | undefined
}

const MARKS = [0, 1, 2, 3, 4]

const says = fc.record<Says>({
  access: fc.constantFrom('nothing', 'role', 'role', 'replace', 'false', 'public', 'public', 'report'),
  mask: fc.constantFrom('nothing', 'hide', 'hide', 'false'),
  query: fc.boolean(),
})
const adding = fc.record<Says>({
  access: fc.constantFrom('role', 'role', 'nothing'),
  mask: fc.constantFrom('nothing', 'hide'),
  query: fc.boolean(),
})
const segments = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'a', 'b', ':x'), { minLength: 1, maxLength: 3 }),
    fc.constantFrom([], [], ['*']),
  )
  .map(([known, rest]) => [...known, ...rest])
const written = (words: fc.Arbitrary<Says>) =>
  fc.record({ method: fc.constantFrom('GET', 'GET', 'POST', '*'), segments, says: words })

const selector = (rule: { method: string; segments: readonly string[] }): string =>
  `${rule.method} ${rule.segments.map((each) => (each.startsWith(':') ? ':' : each)).join('/')}`
const marked = <R>(rules: readonly R[]) => rules.map((rule, mark) => ({ ...rule, mark }))

/** In the order in which Express meets their routes. */
export const rulebooks: fc.Arbitrary<Written[]> = fc
  .uniqueArray(written(says), { minLength: 2, maxLength: MARKS.length, selector })
  .map(marked)
/** The same, and behind them one that only adds. */
export const tightened: fc.Arbitrary<Written[]> = fc
  .tuple(fc.uniqueArray(written(says), { minLength: 1, maxLength: 4, selector }), written(adding))
  .map(([rules, last]) => [...rules, last])
  .filter((rules) => new Set(rules.map(selector)).size === rules.length)
  .map(marked)

const twists: ((path: string) => string)[] = [
  ...Array<(path: string) => string>(6).fill((path) => path),
  (path) => path.toUpperCase(),
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => path.replace('a', '%61'),
]
export const requests: fc.Arbitrary<Asked[]> = fc.array(
  fc.record({
    method: fc.constantFrom<'GET' | 'POST'>('GET', 'POST'),
    path: fc
      .tuple(
        fc.array(fc.constantFrom('a', 'a', 'b', 'z'), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...twists),
      )
      .map(([parts, twist]) => twist(`/${parts.join('/')}`)),
    query: fc.oneof(fc.constant(MARKS), fc.subarray(MARKS)),
    roles: fc.oneof(fc.constant(undefined), fc.constant(MARKS), fc.subarray(MARKS)),
  }),
  { minLength: 6, maxLength: 12 },
)

export const patternOf = ({ method, segments: parts }: Written): string => `${method} /${parts.join('/')}`

export function settingOf({ says: { access, mask, query }, mark }: Written): object {
  const role = { role: `role-${mark}` }
  const name = `q${mark}`
  return {
    ...{
      nothing: {},
      role: { rbac: role },
      replace: { rbac: { replace: role } },
      false: { rbac: false },
      public: { public: true },
      report: { mode: 'report' },
    }[access],
    ...(mask === 'hide' && { mask: { [`f${mark}`]: 'redact' } }),
    ...(mask === 'false' && { mask: false }),
    ...(query && {
      validate: {
        query: { type: 'object', required: [name], properties: { [name]: {} }, additionalProperties: true },
      },
    }),
  }
}

/** What has to be true of a request for it to be served, and which fields nobody sees then. */
export interface Demand {
  readonly caller: boolean
  readonly roles: readonly number[]
  readonly query: readonly number[]
  readonly hidden: readonly number[]
}

/**
 * What the rules ask of a request, found without any of the code that is tested: which rules are wider than others is
 * counted out on all requests there are in a small world.
 */
export function demandOf(
  rules: readonly Written[],
  { method, path }: Pick<Asked, 'method' | 'path'>,
): Demand {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map((part) => decodeURIComponent(part).toLowerCase())
  const fitting = rules.filter((rule) => fits(rule, method, parts))
  const exception = fitting.find(
    (rule) =>
      path === `/${parts.join('/')}` &&
      (rule.segments.at(-1) !== '*' || parts.length >= rule.segments.length) &&
      fitting.every((other) => isWider(other, rule)),
  )
  const access = exception?.says.access
  const adding = fitting.filter((rule) => ['role', 'replace'].includes(rule.says.access))
  const open = access === 'public' || access === 'report'
  return {
    caller: !open,
    roles:
      open || access === 'false'
        ? []
        : (access === 'replace' ? [exception!] : adding).map(({ mark }) => mark),
    query: access === 'report' ? [] : fitting.filter((rule) => rule.says.query).map(({ mark }) => mark),
    hidden:
      exception?.says.mask === 'false'
        ? []
        : fitting.filter((rule) => rule.says.mask === 'hide').map(({ mark }) => mark),
  }
}

const WORLD = ['GET', 'POST', 'PUT'].flatMap((method) => pathsOf(4).map((parts) => ({ method, parts })))

function pathsOf(depth: number): string[][] {
  if (depth === 0) return [[]]
  return [[], ...pathsOf(depth - 1).flatMap((rest) => ['a', 'b', 'z'].map((part) => [part, ...rest]))]
}

function isWider(wide: Written, narrow: Written): boolean {
  return WORLD.every(({ method, parts }) => !fits(narrow, method, parts) || fits(wide, method, parts))
}

function fits({ method, segments: own }: Written, asked: string, parts: readonly string[]): boolean {
  const known = own.filter((segment) => segment !== '*')
  if (method !== '*' && method !== asked) return false
  if (known.length === own.length ? parts.length !== known.length : parts.length < known.length) return false
  return known.every((segment, i) => segment.startsWith(':') || segment === parts[i])
}
