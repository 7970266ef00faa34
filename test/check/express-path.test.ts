import fc from 'fast-check'
import { readMount4, readPath4, readPath5, type Path } from '../../src/check/express-path.js'
import { expressVersions } from '../support/express.js'

/** The layer that Express makes, and the expression that the check has to read it from. */
interface RealLayer {
  match(path: string): boolean | object
  regexp?: RegExp
  keys?: { name: string | number }[]
}

/** Whether what was read fits a path, as far as the vocabulary of `routes` goes. */
function fits({ segments }: Path, path: string, isMount: boolean): boolean {
  const wanted = isMount ? [...segments, '*'] : segments
  const parts = path.slice(1).split('/')
  while (parts.at(-1) === '') parts.pop()
  const end = wanted.indexOf('*')
  if (end === -1 ? parts.length !== wanted.length : parts.length < end) return false
  return (end === -1 ? wanted : wanted.slice(0, end)).every((segment, i) =>
    segment.startsWith(':') ? parts[i] !== '' : segment.toLowerCase() === parts[i]!.toLowerCase(),
  )
}

/** One slash between segments, none at the end: what all readers agree on. */
const isPlain = (path: string): boolean => path === '/' || /^(?:\/[^/]+)+$/.test(path)

const text = fc.constantFrom('a', 'b', 'ab', 'a-b', 'a.b', 'A', '1')
const common = [text, fc.constantFrom(':x', ':y'), fc.constantFrom(':x-:y', ':x.json', 'v:x')]
const parts4 = fc.oneof(
  ...common,
  fc.constantFrom(':x?', ':x(\\d+)', ':x(a|b)?', ':x([0-9]{2})', ':x(.*)', ':x*', ':x.:y?', ':x([0-9]*)'),
  fc.constantFrom(
    '*',
    'a*',
    'a?',
    'ab+',
    '(a)',
    '(a|b)?',
    '?',
    '',
    'a|',
    '{2}',
    '[ab]',
    'a|b',
    '.',
    '$',
    '(?:a',
  ),
)
const parts5 = fc.oneof(
  ...common,
  fc.constantFrom(
    '*x',
    '*x.json',
    '{a}',
    '{:x}',
    ':"x y"',
    '\\:a',
    '\\*',
    'a\\/b',
    '\u00e9',
    ':\u00e9',
    '\\\u{1f600}',
  ),
)
const joined = (parts: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(parts, { minLength: 0, maxLength: 3 }).map((each) => `/${each.join('/')}`)
const paths4 = fc.oneof(joined(parts4), fc.constantFrom('*', '', '(a)', '/a/?', '/a/b|/c'))
const paths5 = fc.oneof(
  joined(parts5),
  fc
    .array(fc.tuple(parts5, fc.constantFrom(0, 1, 2)), { minLength: 1, maxLength: 3 })
    .map((each) => each.map(([part, depth]) => `${'{'.repeat(depth)}/${part}${'}'.repeat(depth)}`).join('')),
  fc.constantFrom('/a{/b{/:c}}', '{/a}', '{*x}', '*x', '/{*x}', '/a/{b/}c'),
)
const words = [
  'a',
  'A',
  'b',
  'ab',
  'abb',
  'a-b',
  'a.b',
  '1',
  '12',
  'a.json',
  '',
  'v1',
  ':a',
  '*',
  '\u00e9',
  'c',
  '\u{1f600}',
]
const requests = fc.array(fc.constantFrom(...words), { maxLength: 4 }).map((each) => `/${each.join('/')}`)

describe.each(expressVersions)('on %s', (name, express) => {
  const is4 = name === 'Express 4'
  const read = (layer: RealLayer, path: string, isMount: boolean): Path[] | undefined => {
    if (!is4) return readPath5(path)
    if (!isMount) return readPath4(path)
    const names = layer.keys!.map((key) => String(key.name))
    return readMount4(layer.regexp!, names)
  }

  /** `undefined` for a path that Express does not take. */
  const layerOf = (path: string, isMount: boolean): RealLayer | undefined => {
    const router = express.Router()
    try {
      if (isMount) router.use(path, (_req, _res, next) => next())
      else router.get(path, (_req, _res, next) => next())
    } catch {
      return undefined
    }
    return router.stack[0] as unknown as RealLayer
  }

  test.each([false, true])('fits all that Express fits, and nothing else if exact (mount: %s)', (isMount) => {
    const counts = { fit: 0, exact: 0 }
    fc.assert(
      fc.property(
        is4 ? paths4 : paths5,
        fc.array(requests, { minLength: 20, maxLength: 20 }),
        (path, asked) => {
          const layer = layerOf(path, isMount)
          const readings = layer && read(layer, path, isMount)
          if (layer === undefined || readings === undefined) return
          const wrong = asked.filter((each) => {
            const isReal = layer.match(each) !== false
            const found = readings.filter((reading) => fits(reading, each, isMount))
            const isExact = isPlain(each) && found.some(({ exact }) => exact)
            counts.fit += Number(isReal)
            counts.exact += Number(isExact)
            return isReal ? found.length === 0 : isExact
          })
          expect({ path, readings, wrong }).toEqual({ path, readings, wrong: [] })
        },
      ),
      { numRuns: 2_000 },
    )
    expect(Math.min(counts.fit, counts.exact)).toBeGreaterThan(100)
  })
})

const spelled = (paths: Path[] | undefined): unknown =>
  paths?.map(({ segments, exact }) => `/${segments.join('/')}${exact ? '' : ' or so'}`)

test.each([
  ['/', ['/']],
  ['', ['/']],
  ['/orders/', ['/orders']],
  ['/orders/?', ['/orders']],
  ['/orders/:id', ['/orders/:id']],
  ['/orders/:id?', ['/orders or so', '/orders/:id or so']],
  ['/orders/:id(\\d+)/items', ['/orders/:id/items or so']],
  ['/:from-:to', ['/:from_to or so']],
  ['/files/*', ['/files/* or so']],
  ['/files/a*/b', ['/files/* or so']],
  ['*', ['/* or so']],
  ['/a/b|/c', undefined],
  ['/a/+b', undefined],
  ['/:a?/:b?/:c?/:d?/:e?/:f?/:g?', undefined],
])('Express 4 means %s', (path, expected) => {
  expect(spelled(readPath4(path))).toEqual(expected)
})

test.each([
  ['/orders{/:id}', ['/orders or so', '/orders/:id or so']],
  ['/a{/b{/:c}}', ['/a or so', '/a/b or so', '/a/b/:c or so']],
  ['/files/*rest', ['/files/* or so']],
  ['/:from-:to', ['/:from_to or so']],
  ['/a/:"b c"', ['/a/:b_c']],
  ['/\\:a', ['/:a or so']],
  ['/a\\/b', ['/a/b']],
  ['a', undefined],
  ['{/a}{/b}{/c}{/d}{/e}{/f}{/g}', undefined],
])('Express 5 means %s', (path, expected) => {
  expect(spelled(readPath5(path))).toEqual(expected)
})

test.each([
  /^\/a(?:x|y)/,
  /^\/a\/?(?=\/|$)/m,
  /^\/a.b\/?(?=\/|$)/,
  /\/a\/?(?=\/|$)/,
  /^\/(a)\/?(?=\/|$)/,
  /^\/a\/?\/?(?=\/|$)/,
])('an expression that no path was made into is not taken for one: %s', (expression) => {
  expect(readMount4(expression, [])).toBeUndefined()
})

test('a mount of Express 4 is read back, with its names and all its paths', () => {
  const router = expressVersions[0]![1].Router()
  router.use(['/a.b', '/:x/c', '/:y?', '/'], (_req, _res, next) => next())
  const { regexp, keys } = router.stack[0] as unknown as Required<RealLayer>
  const names = keys.map(({ name }) => String(name))
  expect(spelled(readMount4(regexp, names))).toEqual(['/a.b', '/:x/c', '/ or so', '/:y or so', '/'])
})
