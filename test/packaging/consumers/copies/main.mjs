// Two copies of the package in one process, as in an ESM application with a CommonJS dependency.
import { createRequire } from 'node:module'
import * as esm from 'secure-api'
import { visit } from '../visit.cjs'

const cjs = createRequire(import.meta.url)('secure-api')
const name = esm.slot('test.name')

const mine = esm.defineStage('mine', () => ({ enter: (ctx) => ctx.set(name, 'set by the one copy') }))()
const theirs = cjs.defineStage('theirs', () => ({
  enter(ctx) {
    if (ctx.get(cjs.slot('test.name')) !== 'set by the one copy') return cjs.refuse('broken')
  },
}))()
const together = esm.pipeline([mine, theirs, cjs.headers()])

const refusing = cjs.defineStage('refusing', () => ({ enter: () => cjs.refuse('forbidden') }))()
const answering = cjs.defineStage('answering', () => ({
  enter(ctx) {
    ctx.res.end('{"subject":"answered by the other copy"}')
    return cjs.answered
  },
}))()

const subject = (req, res) =>
  res.end(
    JSON.stringify({ subject: esm.contextOf(req) === cjs.contextOf(req) ? 'one context' : 'two contexts' }),
  )
const chain = (first, second) => (req, res) =>
  first(req, res, () => second(req, res, () => subject(req, res)))

const say = async (handler) => (await visit(handler, { it: undefined })).it
console.log(
  JSON.stringify({
    distinct: esm.secureApi !== cjs.secureApi,
    together: await say((req, res) => together(req, res, () => subject(req, res))),
    apart: await say(chain(mine, theirs)),
    refused: await say((req, res) => esm.pipeline([refusing])(req, res, () => subject(req, res))),
    answered: await say((req, res) => esm.pipeline([answering])(req, res, () => subject(req, res))),
    problem: esm.isProblem(cjs.refuse('forbidden')) && cjs.isProblem(esm.refuse('forbidden')),
  }),
)
