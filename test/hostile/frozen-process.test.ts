import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isBuilt } from '../../scripts/prepare.mjs'
import { ROOT } from '../support/source-tree.js'

/** By server: what it answered to each request of the list, in bytes, and what it put on record. */
type Said = Record<string, { replies: string[]; events: unknown[] }>
interface Outcome {
  readonly said: Said
  /** Properties of the prototypes of the language that are not as they were. */
  readonly changed: string[]
  readonly frozen: boolean
}

async function everything(how: string, versions: string[], flags: string[] = []): Promise<Outcome> {
  const script = join(ROOT, 'test/hostile/support/everything.cjs')
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, how, ...versions])
  return JSON.parse(stdout) as Outcome
}

let usual: Outcome
beforeAll(async () => {
  if (!isBuilt()) throw new Error('dist is missing or older than its sources. Run: npm run build')
  usual = await everything('as it is', ['express', 'express4'])
})

const statuses = ({ replies }: { replies: string[] }) => replies.map((reply) => Number(reply.slice(9, 12)))

test('the list asks for everything, and nothing is changed that all share (ASVS 15.3.6)', () => {
  expect(Object.keys(usual.said)).toEqual(['node:http', 'express', 'express4'])
  for (const said of Object.values(usual.said)) {
    expect([...new Set(statuses(said))].sort()).toEqual([
      200, 204, 400, 401, 403, 404, 405, 413, 415, 422, 429, 500,
    ])
    expect(statuses(said)).toEqual(statuses(usual.said['node:http']!))
    expect(said.events.length).toBeGreaterThan(statuses(said).length)
  }
  expect([usual.frozen, usual.changed]).toEqual([false, []])
})

test('with every prototype of the language frozen, it answers all of it as it would without', async () => {
  expect(await everything('frozen', ['express', 'express4'])).toEqual({ ...usual, frozen: true })
})

// Express is not loaded: its `depd` does not work with this flag.
test('started with --frozen-intrinsics, it does so behind its front door', async () => {
  expect(await everything('as it is', [], ['--frozen-intrinsics'])).toEqual({
    said: { 'node:http': usual.said['node:http'] },
    changed: [],
    frozen: true,
  })
})
