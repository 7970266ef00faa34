import { once } from 'node:events'
import { Agent, createServer, request as send, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type Express4 from 'express'
import type { RequestHandler } from 'express'
import fc from 'fast-check'
import { testApi } from '../support/api.js'
import { expressVersions } from '../support/express.js'

type Router = ReturnType<typeof Express4.Router>
type Pick = <T>(...options: readonly T[]) => T

/** A handler that answers, whoever asks. */
interface Target {
  /** A word of its path that no other has, and those of the applications around it. */
  readonly ids: readonly string[]
  readonly method: string
  /** Words of a full path, in the spelling of this test. */
  readonly words: readonly string[]
}

let server: Server
let current: RequestListener
const agent = new Agent({ keepAlive: true, maxSockets: 4 })

beforeAll(async () => {
  server = createServer((req, res) => current(req, res))
  await once(server.listen(0, '127.0.0.1'), 'listening')
})

afterAll(async () => {
  agent.destroy()
  server.close()
  await once(server, 'close')
})

/** What became of a request without credentials: its status, and which handler answered, if one did. */
async function ask(method: string, path: string): Promise<{ status?: number; answerer?: string }> {
  const { port } = server.address() as AddressInfo
  const req = send({ port, host: '127.0.0.1', method, path, agent }).end()
  const [res] = (await once(req, 'response')) as [import('node:http').IncomingMessage]
  res.resume()
  await once(res, 'end')
  return { status: res.statusCode!, answerer: res.headers['x-answerer'] as string }
}

const answers =
  (id: string): RequestHandler =>
  (_req, res) =>
    void res.setHeader('x-answerer', id).status(200).end()

/** `:p` is one segment, `?` one that may be absent, `*` any rest; other words are themselves. */
const SPELLINGS = {
  'Express 4': { '?': '/:o?', '*': '/*' },
  'Express 5': { '?': '{/:o}', '*': '/*rest' },
}

describe.each(expressVersions)('on %s', (name, express) => {
  const spellings = SPELLINGS[name as keyof typeof SPELLINGS] as Record<string, string>

  /** An application at random, the handlers in it, and how it came to be. */
  function build(pick: Pick, api: ReturnType<typeof testApi>['api']) {
    const targets: Target[] = []
    const log: string[] = []
    let count = 0
    const guard = api.guard({ rateLimit: { limit: 1_000, windowMs: 1_000 } }) as unknown as RequestHandler
    const protectors = { api: api as unknown as RequestHandler, guard }

    const wordsOf = (id?: string): string[] => {
      const words: string[] = Array.from({ length: pick(0, 0, 1, 1, 2) }, () =>
        pick('a', 'a', 'b', 'A', ':p', '?'),
      )
      if (id !== undefined) words.splice(pick(0, words.length), 0, id)
      return words
    }
    const spelled = (words: readonly string[]): string | RegExp => {
      if (pick(...Array(12).fill(false), true)) {
        const parts = words
          .filter((word) => word !== '*')
          .map((word) => (/^[:?]/.test(word) ? '/[^/]+' : `/${word}`))
        return new RegExp(`^${parts.join('')}(?=/|$)`, pick('', 'i'))
      }
      return words.map((word: string) => spellings[word] ?? `/${word}`).join('') || '/'
    }
    /** One path or a list of two. */
    const places = (make: () => string[]): [words: string[][], path: (string | RegExp)[]] => {
      const words = pick(1, 1, 1, 2) === 1 ? [make()] : [make(), make()]
      return [words, words.map(spelled)]
    }
    const passing = (): RequestHandler => {
      const how = pick<string | undefined>(undefined, undefined, undefined, 'route', 'router')
      return (_req, _res, next) => next(how as never)
    }

    const fill = (
      router: Router,
      above: readonly string[][],
      ids: readonly string[],
      depth: number,
    ): void => {
      const indent = '  '.repeat(3 - depth)
      const note = (what: string, path: unknown): unknown => log.push(`${indent}${what} ${String(path)}`)
      const below = (words: readonly string[][]): string[][] =>
        above.flatMap((prefix) => words.map((each) => [...prefix, ...each]))
      const add = (id: string, method: string, words: readonly string[][]): unknown =>
        targets.push(...below(words).map((each) => ({ ids: [...ids, id], method, words: each })))

      for (let i = pick(1, 2, 3, 4, 5); i > 0; i--) {
        const id = `x${count++}`
        const kind = pick(
          'api',
          'guard',
          'route',
          'route',
          'route',
          'router',
          'router',
          'handler',
          'middleware',
          'app',
          'hook',
        )
        if (kind === 'api' || kind === 'guard') {
          const [, path] = places(() => (pick(true, false) ? [] : wordsOf()))
          note(kind, path)
          router.use(path as string[], protectors[kind])
        } else if (kind === 'route') {
          const method = pick('get', 'post', 'all') as 'get'
          const [words, path] = places(() => [...wordsOf(id), ...pick<string[]>([], [], ['*'])])
          const stack = Array.from({ length: pick(0, 0, 1, 2) }, () => pick('api', 'guard', 'passing'))
          note(`${method} ${stack.join(' ')} ${id}`, path)
          router[method](
            path as string[],
            ...stack.map((each) => (each === 'passing' ? passing() : protectors[each as 'api'])),
            answers(id),
          )
          add(id, method === ('all' as string) ? 'PUT' : method.toUpperCase(), words)
        } else if (kind === 'handler') {
          const [words, path] = places(() => wordsOf(id))
          note('handler', path)
          router.use(path as string[], answers(id))
          add(
            id,
            'GET',
            words.map((each) => [...each, '*']),
          )
        } else if (kind === 'middleware') {
          note('middleware', '')
          router.use(passing())
        } else if (kind === 'hook') {
          note('hook', 'p')
          const how = pick<string | undefined>(undefined, 'route')
          router.param('p', (_req, _res, next) => next(how as never))
        } else if (depth > 0) {
          const isApp = kind === 'app'
          const inner = isApp ? express() : express.Router({ caseSensitive: pick(true, false) })
          const [words, path] = places(() => (isApp ? wordsOf(id) : pick(true, false) ? [] : wordsOf()))
          note(kind, path)
          fill(inner, below(words), isApp ? [...ids, id] : ids, depth - 1)
          router.use(path as string[], inner as never)
          if (pick(true, false, false, false)) {
            const [more, again] = places(() => (isApp ? wordsOf(id) : wordsOf()))
            note('again', again)
            for (const target of targets.slice().filter(({ ids: all }) => isApp && all.includes(id)))
              targets.push({ ...target, words: [...below(more)[0]!, ...target.words.slice(-2)] })
            router.use(again as string[], inner as never)
          }
        }
      }
    }

    const app = express()
    app.set('case sensitive routing', pick(true, false))
    app.set('strict routing', pick(true, false))
    const isFirst = pick(true, false, false, false)
    if (isFirst) app.use(protectors.api)
    fill(app as never, [[]], [], 3)
    return { app, targets, log, isFirst }
  }

  /** A request for the target, straight or with one of the tricks that routers are known to fall for. */
  function requestFor({ words }: Target, pick: Pick): string {
    const parts = words.flatMap((word) => {
      if (word === ':p') return [pick('a', 'b', 'z')]
      if (word === '?') return pick<string[]>([], ['a'], ['z'])
      if (word === '*') return pick<string[]>(['q'], ['q', 'w'], [])
      return [word]
    })
    const at = parts.length === 0 ? 0 : pick(...parts.keys())
    const trick = pick('none', 'none', 'case', 'slash', 'slash', 'tail', 'encoded')
    if (trick === 'case') parts[at] = parts[at]?.toUpperCase() ?? ''
    if (trick === 'slash') parts.splice(at, 0, '')
    if (trick === 'tail') parts.push('')
    if (trick === 'encoded' && parts[at])
      parts[at] = `%${parts[at].charCodeAt(0).toString(16)}${parts[at].slice(1)}`
    return `/${parts.join('/')}`
  }

  test('whoever answers without the API is named, and behind the API nobody does', async () => {
    const seen = { answered: 0, refused: 0, quiet: 0, named: 0 }
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (gen) => {
        const pick: Pick = (...options) => gen(fc.constantFrom, ...options)
        const { api } = testApi()
        const { app, targets, log, isFirst } = build(pick, api)
        const labels = api
          .check(app)
          .filter(({ code }) =>
            ['route-unprotected', 'mount-unknown', 'guard-behind-handler', 'api-not-mounted'].includes(code),
          )
          .map(({ code, severity, route = '* /*' }) => ({ code, severity, route }))
        if (isFirst) expect(labels.filter(({ code }) => code === 'route-unprotected')).toEqual([])
        current = app as never

        for (const target of targets.slice(0, 10)) {
          for (let i = 0; i < 3; i++) {
            const path = requestFor(target, pick)
            const { status, answerer } = await ask(target.method, path)
            if (answerer === undefined) {
              seen.refused += Number(status === 401)
              continue
            }
            seen.answered++
            const ids = targets.find((each) => each.ids.at(-1) === answerer)!.ids
            const isNamed = labels.some(
              ({ code, route }) =>
                code === 'api-not-mounted' || (ids.some((id) => hasWord(route, id)) && mayMean(route, path)),
            )
            if (!isNamed || isFirst)
              throw new Error(
                `${target.method} ${path} got to ${answerer}\n${log.join('\n')}\n${JSON.stringify(labels)}`,
              )
          }
        }
        seen.named += labels.length
        seen.quiet += targets.filter(
          ({ ids }) => !labels.some(({ route }) => ids.some((id) => hasWord(route, id))),
        ).length
      }),
      { numRuns: 100 },
    )
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(50)
  })
})

const hasWord = (route: string, id: string): boolean => route.split(/\W/).includes(id)

/** Whether a path is one of those that a finding speaks of, as far as that can be read. */
function mayMean(route: string, path: string): boolean {
  const pattern = route.replace(/^\S+ /, '')
  if (/[(^ ]/.test(pattern)) return true
  const wanted = pattern.split('/').filter(Boolean)
  const asked = path.split('/').filter(Boolean)
  const end = wanted.indexOf('*')
  if (end === -1 ? asked.length !== wanted.length : asked.length < end) return false
  return (end === -1 ? wanted : wanted.slice(0, end)).every(
    (word, i) => word.startsWith(':') || word.toLowerCase() === decodeURIComponent(asked[i]!).toLowerCase(),
  )
}
