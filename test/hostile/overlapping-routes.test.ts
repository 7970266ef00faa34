import fc from 'fast-check'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sendJson, testApi, type TestApi } from '../support/api.js'
import { expressVersions } from '../support/express.js'
import {
  demandOf,
  patternOf,
  requests,
  rulebooks,
  settingOf,
  tightened,
  type Asked,
  type Written,
} from './support/overlapping.js'

const MARKS = [0, 1, 2, 3, 4]
const FIELDS = Object.fromEntries(MARKS.map((mark) => [`f${mark}`, 'clear']))

function apiOf(rules: readonly Written[]) {
  return testApi({
    // Alone: what it refuses never gets as far as the rules.
    firewall: false,
    rateLimit: false,
    audit: false,
    rbac: { roles: Object.fromEntries(MARKS.map((mark) => [`role-${mark}`, []])) },
    routes: Object.fromEntries(rules.map((rule) => [patternOf(rule), settingOf(rule)])),
  })
}

let server: Server
let listener: RequestListener
beforeAll(async () => {
  server = createServer((req, res) => listener(req, res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => server.close())

interface Got {
  readonly status: number
  /** Of the route that answered. */
  readonly served: number | undefined
  /** Fields that could be read. */
  readonly clear: readonly number[]
}

async function ask({ method, path, query, roles }: Asked, as: TestApi['as']): Promise<Got> {
  const { port } = server.address() as AddressInfo
  const target = `${path}?${query.map((mark) => `q${mark}=1`).join('&')}`
  const headers =
    roles === undefined ? {} : { Authorization: as({ roles: roles.map((mark) => `role-${mark}`) }) }
  const sent = request({ port, method, path: target, headers, agent: false }).end()
  const [reply] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of reply) text += String(chunk)
  const isServed = reply.statusCode === 200
  const body = isServed ? (JSON.parse(text) as Record<string, unknown>) : {}
  return {
    status: reply.statusCode!,
    served: body.served as number | undefined,
    clear: MARKS.filter((mark) => body[`f${mark}`] === 'clear'),
  }
}

describe.each(expressVersions)('on %s', (name, express) => {
  describe.each(['front door', 'app.use'])('behind the %s', (door) => {
    const pathFor = ({ segments }: Written): string =>
      `/${segments.map((each) => (each === '*' && name === 'Express 5' ? '*rest' : each)).join('/')}`

    const serve = (rules: readonly Written[]) => {
      const { api, as } = apiOf(rules)
      const app = express()
      if (door === 'app.use') app.use(api as never)
      for (const rule of rules) {
        const method = rule.method === '*' ? 'all' : (rule.method.toLowerCase() as 'get' | 'post')
        app[method](pathFor(rule), (_req, res) => void res.json({ served: rule.mark, ...FIELDS }))
      }
      listener = door === 'app.use' ? app : api.protect(app as never)
      return { api, as }
    }

    test('what the rules ask of a request is asked, whichever route serves it, and nothing else', async () => {
      const seen = { served: 0, refused: 0, exceptions: 0 }
      await fc.assert(
        fc.asyncProperty(rulebooks, requests, async (rules, asked) => {
          const { api, as } = serve(rules)
          for (const one of asked) {
            const got = await ask(one, as)
            const { caller, roles, query, hidden } = demandOf(rules, one)
            const isMet =
              (!caller || one.roles !== undefined) &&
              roles.every((mark) => one.roles?.includes(mark)) &&
              query.every((mark) => one.query.includes(mark))
            if (got.status === 200) {
              expect({ one, isMet }).toEqual({ one, isMet: true })
              expect({ one, clear: got.clear }).toEqual({
                one,
                clear: MARKS.filter((mark) => !hidden.includes(mark)),
              })
            } else if (got.status !== 404)
              expect({ one, isMet, ...got }).toEqual({ one, isMet: false, ...got })

            const own = rules[got.served ?? -1]
            if (own !== undefined && !caller) seen.exceptions++
            seen[got.status === 200 ? 'served' : 'refused']++
          }
          await api.close()
        }),
        { numRuns: 35 },
      )
      expect(Math.min(...Object.values(seen))).toBeGreaterThan(10)
    })
  })
})

test('a rule that only adds lets nobody in, and shows nothing, that was not before', async () => {
  const seen = { tighter: 0, same: 0 }
  const outcomes = async (rules: readonly Written[], asked: readonly Asked[]): Promise<Got[]> => {
    const { api, as } = apiOf(rules)
    listener = api.protect((_req, res) => sendJson(res, FIELDS))
    const got: Got[] = []
    for (const one of asked) got.push(await ask(one, as))
    await api.close()
    return got
  }
  await fc.assert(
    fc.asyncProperty(tightened, requests, async (rules, asked) => {
      const before = await outcomes(rules.slice(0, -1), asked)
      const after = await outcomes(rules, asked)
      after.forEach((got, i) => {
        if (got.status === 200) {
          expect(before[i]!.status).toBe(200)
          expect(before[i]!.clear).toEqual(expect.arrayContaining([...got.clear]))
        }
        seen[before[i]!.status === 200 && got.status !== 200 ? 'tighter' : 'same']++
      })
    }),
    { numRuns: 80 },
  )
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(5)
})
