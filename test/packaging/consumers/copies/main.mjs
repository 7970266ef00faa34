// Two copies of the package in one process, as in an ESM application with a CommonJS dependency. `node main.mjs import`: the
// application's is the ES module, and the dependency's the other; `require`: the other way round.
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import * as esm from 'secure-api'
import { visit } from '../visit.cjs'
import { mint } from '../mint.cjs'

const cjs = createRequire(import.meta.url)('secure-api')
const [ours, theirs] = process.argv[2] === 'import' ? [esm, cjs] : [cjs, esm]

const setting = ours.defineStage('setting', () => ({
  enter: (ctx) => ctx.set(ours.slot('test.name'), 'set by the one copy'),
}))()
const reading = theirs.defineStage('reading', () => ({
  enter(ctx) {
    if (ctx.get(theirs.slot('test.name')) !== 'set by the one copy') return theirs.refuse('broken')
  },
}))()
const refusing = theirs.defineStage('refusing', () => ({ enter: () => theirs.refuse('forbidden') }))()
const answering = theirs.defineStage('answering', () => ({
  enter(ctx) {
    ctx.res.end('{"subject":"answered by the other copy"}')
    return theirs.answered
  },
}))()

const secret = randomBytes(32).toString('base64url')
const api = ours.secureApi({
  auth: [ours.bearer({ issuer: 'https://id.example.com', audience: 'orders', secret })],
  audit: { logger: { info() {}, warn() {}, error() {} } },
})

const subject = (req, res) =>
  res.end(
    JSON.stringify({
      subject: ours.contextOf(req) === theirs.contextOf(req) ? 'one context' : 'two contexts',
    }),
  )
/** Middleware, one after the other, and a handler at the end. */
const chain = (...links) =>
  links.reduceRight((next, link) => (req, res) => link(req, res, () => next(req, res)), subject)
const say = async (handler, token) => (await visit(handler, { it: token })).it

const who = api.protect((req, res) => {
  const { principal } = theirs.contextOf(req)
  theirs.rbac('authenticated')(req, res, () => {
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify({ subject: principal.subject }))
  })
})
const failing = (error) => api.protect((req, res) => api.errors()(error, req, res, () => res.end('{}')))
const token = mint(secret)

console.log(
  JSON.stringify({
    distinct: ours.secureApi !== theirs.secureApi,
    together: await say(chain(ours.pipeline([setting, reading, theirs.headers()]))),
    apart: await say(chain(setting, reading)),
    refused: await say(chain(ours.pipeline([refusing]))),
    answered: await say(chain(ours.pipeline([answering]))),
    principal: await say(who, token),
    nobody: await say(who),
    thrown: await say(failing(new theirs.RefusedError(theirs.refuse('rate-limited'))), token),
    unknown: await say(failing(new Error('not for clients')), token),
    problem: ours.isProblem(theirs.refuse('forbidden')),
  }),
)
await api.close()
