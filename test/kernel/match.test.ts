import fc from 'fast-check'
import connectApp from 'connect'
import express4 from 'express4'
import express5 from 'express'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { compileRoutes, paramsReader } from '../../src/kernel/match.js'
import { bySpecificity, parsePattern } from '../../src/kernel/route-pattern.js'

const find = (patterns: string[], method: string, path: string) => {
  const { exact, fits } = compileRoutes(patterns.map(parsePattern))(method, path)
  return { exact: exact?.pattern, fits: fits.map(({ pattern }) => pattern) }
}

describe('an exact fit', () => {
  test.each([
    ['GET /health', 'GET', '/health'],
    ['GET /health', 'HEAD', '/health'],
    ['GET /', 'GET', '/'],
    ['GET /users/:id', 'GET', '/users/42'],
    ['GET /users/:id', 'GET', '/users/ABC'],
    ['* /admin/*', 'DELETE', '/admin/a/b'],
    ['GET /files/*path', 'GET', '/files/a'],
  ])('%s fits %s %s', (pattern, method, path) => {
    expect(find([pattern], method, path)).toEqual({ exact: pattern, fits: [pattern] })
  })
})

describe('a loose fit adds protection and never takes any away', () => {
  test.each([
    ['GET /health', '/HEALTH'],
    ['GET /health', '/health/'],
    ['GET /health', '//health'],
    ['GET /health', '/%68ealth'],
    ['GET /users/:id', '/users/a%20b'],
    ['GET /users/:id', '/users//42'],
    ['GET /a/*', '/a'],
    ['GET /a/*', '/a/b/../c'],
    ['GET /health', 'http://elsewhere/health'],
    ['GET /health', '/health#x'],
    ['GET /health', '/health#/y'],
    ['GET /health', 'http://elsewhere/health#x'],
    ['GET /a/b', '/a\\b#x'],
    ['GET /:x', '/a\\b'],
    ['GET /pub/:id', '/pub/a#b'],
    ['GET /health', '/health\u00a0'],
  ])('%s fits %s, but not exactly', (pattern, path) => {
    expect(find([pattern], 'GET', path)).toEqual({ exact: undefined, fits: [pattern] })
  })

  test('all rules that fit loosely are named, the best one first', () => {
    const { exact, fits } = find(['GET /orders/:id', 'GET /orders/new', '* /orders/*'], 'GET', '/orders/NEW')
    expect(exact).toBeUndefined()
    expect(fits).toEqual(['GET /orders/new', 'GET /orders/:id', '* /orders/*'])
  })
})

describe('where a dot may end a segment', () => {
  const findDotted = (patterns: string[], path: string) => {
    const { exact, fits } = compileRoutes(patterns.map(parsePattern))('GET', path, true)
    return { exact: exact?.pattern, fits: fits.map(({ pattern }) => pattern) }
  }

  test.each([
    ['GET /admin', '/admin.x'],
    ['GET /admin', '/admin..x.'],
    ['GET /admin/*', '/admin.x/y'],
    ['GET /a.b/*', '/a.b.c/d'],
    ['GET /v1/.well-known/x', '/v1.well-known/x'],
    ['GET /:tenant/:doc', '/acme.x'],
    ['GET /:tenant/.a/:doc', '/acme.b.a.c'],
  ])('%s fits %s, and not exactly', (pattern, path) => {
    expect(findDotted([pattern], path)).toEqual({ exact: undefined, fits: [pattern] })
    expect(find([pattern], 'GET', path)).toEqual({ exact: undefined, fits: [] })
  })

  test.each([
    ['GET /admin', '/admin.x/y'],
    ['GET /admin', '/x.admin'],
    ['GET /admin', '/.admin'],
    ['GET /admin/x', '/admin.x'],
    ['GET /admin/*', '/administration.x'],
  ])('%s does not fit %s', (pattern, path) => {
    expect(findDotted([pattern], path)).toEqual({ exact: undefined, fits: [] })
  })

  test('a rule for the very path is the exception inside, and so it is exact', () => {
    const patterns = ['GET /docs', 'GET /docs.json', '* /docs/*', 'GET /:page']
    expect(findDotted(patterns, '/docs.json')).toEqual({
      exact: 'GET /docs.json',
      fits: ['GET /docs.json', 'GET /:page', 'GET /docs', '* /docs/*'],
    })
    expect(findDotted(patterns, '/docs.xml').exact).toBeUndefined()
    expect(findDotted(patterns, '/other.xml').exact).toBe('GET /:page')
  })

  test('many dots are no way to keep the process busy', () => {
    const pattern = 'GET /:a/:b/:c/:d/:e/never'
    const path = `/${'.x'.repeat(8_000)}`
    expect(findDotted([pattern, 'GET /.x/.x/.x/:a/:b/never'], path)).toEqual({ exact: undefined, fits: [] })
  })

  test('rules that are looked up are those that fit the path with a slash before some of its dots', () => {
    const name = fc.constantFrom('a', 'b', 'a.b', '.x', '.y.z', '.b', ':p', ':q')
    const rules = fc
      .tuple(fc.array(name, { minLength: 1, maxLength: 4 }), fc.constantFrom<string[]>([], ['*']))
      .map(([plain, rest]) => `GET /${[...plain, ...rest].join('/')}`)
    const piece = fc.constantFrom('a', 'b', 'x', 'z', '.x', '.y', '.z', '.b', '.', '/')
    const paths = fc
      .array(piece, { minLength: 1, maxLength: 9 })
      .map((pieces) => pieces.join('').replace(/\/+/g, '/'))
      .filter((path) => !/^\/|\/$|(?:^|\/)\.{1,2}(?:\/|$)/.test(path))
    let met = 0
    fc.assert(
      fc.property(
        fc.uniqueArray(rules, { maxLength: 8, selector: (text) => text.replace(/:\w/g, ':') }),
        fc.array(paths, { minLength: 10, maxLength: 10 }),
        (texts, some) => {
          const parsed = texts.map(parsePattern)
          const match = compileRoutes(parsed)
          for (const path of some) {
            const ways = waysOf(path)
            const fits = parsed.filter((rule) => ways.some((way) => fitsOne(rule, 'GET', way)))
            const found = match('GET', `/${path}`, true).fits
            expect({ path, found: new Set(found) }).toEqual({ path, found: new Set(fits) })
            met += fits.length
          }
        },
      ),
      { numRuns: 1_500 },
    )
    expect(met).toBeGreaterThan(1_000)
  })

  /** All ways to take a path apart, at slashes and at some dots that something precedes; what follows the last dot may go. */
  function waysOf(path: string): string[][] {
    const segments = path.split('/')
    let ways: { parts: string[]; cut: boolean }[] = [{ parts: [], cut: false }]
    for (const segment of segments) {
      const pieces = segment.split(/(?<=.)(?=\.)/)
      const splits = Array.from({ length: 2 ** (pieces.length - 1) }, (_, bits) =>
        pieces
          .slice(1)
          .reduce(
            (parts, piece, i) =>
              (bits >> i) % 2 === 1 ? [...parts, piece] : [...parts.slice(0, -1), `${parts.at(-1)!}${piece}`],
            [pieces[0]!],
          ),
      )
      ways = ways.flatMap(({ parts }) =>
        splits.map((split) => ({ parts: [...parts, ...split], cut: split.length > 1 })),
      )
    }
    return ways.flatMap(({ parts, cut }) => (cut ? [parts, parts.slice(0, -1)] : [parts]))
  }

  test.each([
    [['GET /a/:x', 'GET /b/:x/c', 'GET /d'], 1],
    [['GET /a/:x/:y', 'GET /:x/:y/:z/c', 'GET /.x/y', 'GET /:x/.y/z'], 2],
  ])('%j: twice the dots cost as many times as much as %d at most', (patterns, times) => {
    const match = compileRoutes(patterns.map(parsePattern))
    const get = jest.spyOn(Map.prototype, 'get')
    const slice = jest.spyOn(String.prototype, 'slice')
    const cost = (path: string) => {
      get.mockClear()
      slice.mockClear()
      match('GET', path, true)
      return (
        get.mock.calls.length + slice.mock.results.reduce((sum, { value }) => sum + String(value).length, 0)
      )
    }
    try {
      for (const unit of ['.', 'x.', 'xy.', '.y.']) {
        const path = (count: number) => `/a/x${unit.repeat(count)}x`
        expect(cost(path(2_000)) - path(2_000).length).toBeLessThanOrEqual(
          (cost(path(1_000)) - path(1_000).length) * times * 1.1,
        )
      }
    } finally {
      get.mockRestore()
      slice.mockRestore()
    }
  })

  test('whatever Connect mounts is met by the rule for all that is below it', () => {
    const app = connectApp()
    const mounts = ['/admin', '/admin/users', '/a.b', '/a', '/v1/.x']
    let served: string[] = []
    for (const mount of mounts) app.use(mount, (_req, _res, next) => (served.push(mount), next()))
    const match = compileRoutes(mounts.map((mount) => parsePattern(`* ${mount}/*`)))
    const piece = fc.constantFrom('/', '.', 'admin', 'users', 'a', 'b', 'v1', 'x', 'ADMIN', '%61')
    let met = 0
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
        const path = `/${pieces.join('')}`
        served = []
        app.handle({ method: 'GET', url: path } as never, {} as never, () => undefined)
        const fits = match('GET', path, true).fits.map(
          ({ segments }) => `/${segments.slice(0, -1).join('/')}`,
        )
        expect({ path, fits }).toEqual({ path, fits: expect.arrayContaining(served) as unknown })
        met += served.length
      }),
      { numRuns: 3_000 },
    )
    expect(met).toBeGreaterThan(100)
  })
})

test('what * adds holds for OPTIONS, which it never fits exactly', () => {
  expect(find(['* /health'], 'OPTIONS', '/health')).toEqual({ exact: undefined, fits: ['* /health'] })
})

describe('no fit', () => {
  test.each([
    ['GET /health', 'POST', '/health'],
    ['GET /health', 'OPTIONS', '/health'],
    ['GET /health', 'GET', '/healthy'],
    ['GET /health', 'GET', '/health/x'],
    ['GET /users/:id', 'GET', '/users'],
    ['GET /health', 'GET', '/x/health'],
    ['GET /health', 'GET', '*'],
  ])('%s does not fit %s %s', (pattern, method, path) => {
    expect(find([pattern], method, path)).toEqual({ exact: undefined, fits: [] })
  })
})

test('the more specific rule wins: text before a name before a rest, then a method before any', () => {
  const patterns = ['* /*', 'GET /:a/:b', 'GET /users/*', 'GET /users/:id', 'GET /users/me', '* /users/me']
  expect(find(patterns, 'GET', '/users/me').exact).toBe('GET /users/me')
  expect(find(patterns, 'PUT', '/users/me').exact).toBe('* /users/me')
  expect(find(patterns, 'GET', '/users/7').exact).toBe('GET /users/:id')
  expect(find(patterns, 'GET', '/users/7/x').exact).toBe('GET /users/*')
  expect(find(patterns, 'GET', '/x/y').exact).toBe('GET /:a/:b')
  expect(find(patterns, 'GET', '/x').exact).toBe('* /*')
})

test('reads the values of named segments, decoded once', () => {
  const params = paramsReader(parsePattern('GET /users/:id/:part'))('/users/a%2520b/c')
  expect({ ...params }).toEqual({ id: 'a%20b', part: 'c' })
})

test.each([
  ['/orders', 'is no method and path'],
  ['TRACE /orders', 'names TRACE, which no API answers'],
  ['get /orders', 'unknown method'],
  ['HEAD /orders', 'takes the rule of GET'],
  ['OPTIONS /orders', 'always takes the general rules'],
  ['GET orders', 'does not begin with a slash'],
  ['GET /orders/', 'ends with a slash'],
  ['GET /a//b', 'segment'],
  ['GET /a/../b', 'segment'],
  ['GET /a%20b', 'segment'],
  ['GET /a/(\\d+)', 'segment'],
  ['GET /*/b', 'segment'],
  ['GET /a?b=c', 'segment'],
  ['GET /:', 'segment'],
])('refuses the pattern %s', (pattern, why) => {
  expect(() => parsePattern(pattern)).toThrow(why)
})

test('refuses two rules that fit the same requests equally well', () => {
  expect(() => compileRoutes(['GET /a/:x', 'GET /A/:y'].map(parsePattern))).toThrow(
    "'GET /a/:x' and 'GET /A/:y'",
  )
})

describe.each([
  ['Express 4', express4],
  ['Express 5', express5],
])('over routes and path tricks, on %s', (_version, express) => {
  const paths = ['/health', '/orders', '/orders/new', '/orders/:id', '/admin/users/:id', '/a/b/c']
  let server: Server
  let port: number

  beforeAll(async () => {
    const app = express()
    for (const path of paths) app.get(path, (_req, res) => void res.end(`served ${path}`))
    server = createServer(app as never).listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => server.close())

  test('a route that Express serves is always among the rules that fit', async () => {
    const fit = compileRoutes(paths.map((path) => parsePattern(`GET ${path}`)))
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), tricks(), async (path, twist) => {
        const target = twist(path.replace(':id', 'new'))
        const served = await routeServed(port, target)
        if (served !== undefined)
          expect(fit('GET', target).fits.map(({ pattern }) => pattern)).toContain(`GET ${served}`)
      }),
      { numRuns: 300 },
    )
  })
})

function tricks(): fc.Arbitrary<(path: string) => string> {
  const single = fc.constantFrom<(path: string) => string>(
    (path) => path,
    (path) => path.toUpperCase(),
    (path) => `${path}/`,
    (path) => `/${path}`,
    (path) => path.replace(/\/(?=[^/]*$)/, '//'),
    (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
    (path) => path.replace(/\/(?=[^/]*$)/, '%2f'),
    (path) => path.replace(/\/(?=[^/]*$)/, '/./'),
    (path) => path.replace(/\/(?=[^/]*$)/, '/x/../'),
    (path) => `${path};a=b`,
    (path) => `${path}%00`,
    (path) => `${path}%20`,
    (path) => `${path}.`,
    (path) => path.replace(/[a-z]/, (letter) => `%25${letter.charCodeAt(0).toString(16)}`),
    (path) => `http://elsewhere${path}`,
    (path) => `${path}#x`,
    (path) => `${path}#/y`,
    (path) => path.replace(/\/(?=[^/]*$)/, '\\'),
  )
  return fc
    .array(single, { minLength: 1, maxLength: 3 })
    .map((list) => (path) => list.reduce((twisted, twist) => twist(twisted), path))
}

/** Raw, because HTTP clients tidy up paths. */
async function routeServed(port: number, target: string): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1')
  socket.end(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return /served (\S+)/.exec(text)?.[1]
}

test('rules that are looked up are those that would be found by trying one after the other', () => {
  const segment = fc.constantFrom('a', 'b', 'Ab', 'a.b', ':x', ':y')
  const patterns = fc
    .tuple(
      fc.constantFrom('GET', 'POST', '*'),
      fc.array(segment, { maxLength: 3 }),
      fc.constantFrom<string[]>([], [], ['*']),
    )
    .map(([method, plain, rest]) => `${method} /${[...plain, ...rest].join('/')}`)
  const paths = fc
    .array(fc.constantFrom('a', 'b', 'ab', 'Ab', 'a.b', 'c'), { maxLength: 4 })
    .map((segments) => `/${segments.join('/')}`)
  const seen = { nested: 0, crossing: 0 }

  fc.assert(
    fc.property(
      fc.uniqueArray(patterns, {
        maxLength: 12,
        selector: (text) => text.replace(/:\w/g, ':').toLowerCase(),
      }),
      fc.array(fc.tuple(fc.constantFrom('GET', 'HEAD', 'POST', 'OPTIONS'), paths), {
        minLength: 20,
        maxLength: 20,
      }),
      (texts, requests) => {
        const rules = texts.map(parsePattern)
        const match = compileRoutes(rules)
        for (const [method, path] of requests) {
          const parts = path === '/' ? [] : path.slice(1).split('/')
          const fits = rules.filter((rule) => fitsOne(rule, method, parts)).sort(bySpecificity)
          const exact = fits.find(
            (rule) => hasLetters(rule.segments, parts) && fits.every((other) => isWider(other, rule)),
          )
          if (fits.length > 1) seen[exact === undefined ? 'crossing' : 'nested']++
          expect(match(method, path)).toEqual({ exact: method === 'OPTIONS' ? undefined : exact, fits })
        }
      },
    ),
    { numRuns: 500 },
  )
  expect(Math.min(seen.nested, seen.crossing)).toBeGreaterThan(100)
})

test('of paths that routers read differently, none fits exactly, whatever rules fit a part of them', () => {
  const segment = fc.constantFrom('a', 'b', ':x', ':y')
  const patterns = fc
    .tuple(fc.array(segment, { maxLength: 3 }), fc.constantFrom<string[]>([], ['*']))
    .map(([plain, rest]) => `GET /${[...plain, ...rest].join('/')}`)
  const paths = fc
    .array(fc.constantFrom('a', 'b', 'A', '', '.', '..', '%61', 'a;b', '\u00e9', 'c'), { maxLength: 5 })
    .map((segments) => `/${segments.join('/')}`)
  const seen = { exact: 0, odd: 0 }

  fc.assert(
    fc.property(
      fc.uniqueArray(patterns, { maxLength: 8, selector: (text) => text.replace(/:\w/g, ':') }),
      fc.array(paths, { minLength: 20, maxLength: 20 }),
      (texts, some) => {
        const rules = texts.map(parsePattern)
        const match = compileRoutes(rules)
        for (const path of some) {
          const isOdd = /[^!-~]|[%;]|\/\/|[^/]\/$|\/\.{1,2}(?:\/|$)/.test(path)
          const parts = path.split('/').filter((part) => part !== '')
          const read = parts.map((part) => part.replace('%61', 'a'))
          const found = match('GET', path)
          expect(found.fits).toEqual(rules.filter((rule) => fitsOne(rule, 'GET', read)).sort(bySpecificity))
          if (found.exact !== undefined) expect(hasLetters(found.exact.segments, parts)).toBe(true)
          if (isOdd) expect(found.exact).toBeUndefined()
          if (found.fits.length > 0) seen[found.exact === undefined ? 'odd' : 'exact'] += 1
        }
      },
    ),
    { numRuns: 1_000 },
  )
  expect(Math.min(seen.exact, seen.odd)).toBeGreaterThan(100)
})

test('however many rules cross one another, each letter of a path is looked at once', () => {
  const patterns = ['* /*', '* /a/*', '* /:x/*', 'GET /:x/b/:y', 'GET /a/:x/:y', 'GET /a/b/:y', '* /a/b/:y']
  const match = compileRoutes(patterns.map(parsePattern))
  const code = jest.spyOn(String.prototype, 'charCodeAt')
  try {
    const path = `/a/b/${'x'.repeat(1_000)}`
    expect(match('GET', path).exact?.pattern).toBe('GET /a/b/:y')
    expect(code.mock.calls.length).toBeLessThan(path.length + 50)
  } finally {
    code.mockRestore()
  }
})

test.each(['%41', 'A', '/./x', '//x', '\u00e9', '/'])(
  'a path with %j at its end is not looked at once for each rule either',
  (end) => {
    const starts = ['', '/a', '/:x'].flatMap((one) => ['', '/b', '/:y'].map((two) => `${one}${two}`))
    const patterns = [...new Set(starts)].flatMap((start) => [
      `GET ${start}/*`,
      `GET ${start}/c/:z/:rest/end`,
    ])
    const keys = new Map(patterns.map((pattern) => [pattern.replaceAll(/:\w+/g, ':'), parsePattern(pattern)]))
    const match = compileRoutes([...keys.values()])
    const code = jest.spyOn(String.prototype, 'charCodeAt')
    try {
      const path = `/a/b/c/${'x'.repeat(1_000)}${end}`
      expect(match('GET', path).fits[0]?.pattern).toBe('GET /a/b/*')
      // By the walk, and once more to see how it is spelled.
      expect(code.mock.calls.length).toBeLessThan(2 * path.length + 100)
    } finally {
      code.mockRestore()
    }
  },
)

test('a segment that is longer than those of all rules is not looked up among them', () => {
  const patterns = [
    'GET /a/b/x',
    'GET /a/b/y',
    'GET /:a/b/x',
    'GET /:a/:b/y',
    'GET /:a/:b/longest',
    'GET /a/:b/:c',
  ]
  const match = compileRoutes(patterns.map(parsePattern))
  const slice = jest.spyOn(String.prototype, 'slice')
  try {
    expect(match('GET', `/a/b/${'x'.repeat(100)}`).exact?.pattern).toBe('GET /a/:b/:c')
    expect(
      slice.mock.results.map(({ value }) => String(value).length).filter((length) => length > 7),
    ).toEqual([])
    expect(match('GET', '/c/b/longest').exact?.pattern).toBe('GET /:a/:b/longest')
  } finally {
    slice.mockRestore()
  }
})

type Rule = ReturnType<typeof parsePattern>

function fitsOne({ method, segments }: Rule, asked: string, parts: readonly string[]): boolean {
  if (method !== '*' && method !== (asked === 'HEAD' ? 'GET' : asked)) return false
  const takesRest = segments.at(-1) === '*'
  const plain = takesRest ? segments.slice(0, -1) : segments
  if (takesRest ? parts.length < plain.length : parts.length !== plain.length) return false
  return plain.every((text, i) => text.startsWith(':') || text.toLowerCase() === parts[i]!.toLowerCase())
}

/** Tried on all lengths that make a difference, and with text and a method that no rule names. */
function isWider(wide: Rule, { method, segments }: Rule): boolean {
  const plain = segments.filter((text) => text !== '*').map((text) => (text.startsWith(':') ? 'zz' : text))
  const rests = plain.length === segments.length ? [0] : [0, 1, 2, 3, 4]
  const asked = method === '*' ? 'PUT' : method
  return rests.every((more) => fitsOne(wide, asked, [...plain, ...Array<string>(more).fill('zz')]))
}

function hasLetters(segments: readonly string[], parts: readonly string[]): boolean {
  if (segments.at(-1) === '*' && parts.length < segments.length) return false
  return segments.every((text, i) => text === '*' || text.startsWith(':') || text === parts[i])
}
