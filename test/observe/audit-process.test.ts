import { chmodSync, chownSync, existsSync, readFileSync, renameSync } from 'node:fs'
import { Agent, get, type IncomingMessage } from 'node:http'
import type { AuditHead } from '../../src/observe/audit-chain.js'
import { signer } from '../../src/observe/audit-checkpoint.js'
import { AuditFile } from '../../src/observe/audit-file.js'
import { verifyAudit } from '../../src/observe/verify-audit.js'
import { fakeClock } from '../../src/testing/index.js'
import { compiled, type Child } from './support/child.js'
import { keyPair, scratch } from './support/trail.js'

const files = scratch()
const { key, publicKey } = keyPair()
// Processes are started, on machines that may be busy.
jest.setTimeout(60_000)

let sources: ReturnType<typeof compiled>
beforeAll(() => {
  sources = compiled()
})
afterEach(() => sources.stop())
afterAll(() => sources.remove())

/** A child that has `stage` (audit to the file), `ctx(id)` (a context of its own) and `say(text)` (prints at once). */
const PRELUDE = `
  const { writeSync } = require('node:fs')
  const { createServer } = require('node:http')
  const { audit } = require('./src/observe/audit.js')
  const { requestId } = require('./src/observe/request-id.js')
  const { compile } = require('./src/kernel/compile.js')
  const { defineStage } = require('./src/kernel/define.js')
  const { refuse } = require('./src/kernel/problem.js')
  const { SecurityContext } = require('./src/kernel/context.js')
  const { createServices } = require('./src/kernel/services.js')
  const [path, key, durability] = process.argv.slice(2)
  const say = (text) => writeSync(1, text + '\\n')
  const services = createServices({ log: { info() {}, warn: (text) => say('log ' + text), error: (text) => say('log ' + text) } })
  const { stage } = audit({
    file: { path, key, checkpointEvery: 50, onCheckpoint: (head) => say('head ' + JSON.stringify(head)) },
    durability,
  })
  const record = (n) => {
    const ctx = new SecurityContext({ method: 'GET', url: '/', headers: {}, socket: {} }, {}, services)
    if (n === 0) stage.enter(ctx)
    else { stage.enter(ctx); ctx.record('test', { n }) }
  }
`

function start(
  script: string,
  durability = 'turn',
  shell?: string,
  user?: { uid?: number; gid?: number },
): Child & { path: string } {
  const path = files.path('audit.jsonl')
  return { ...sources.start(PRELUDE + script, [path, key, durability], shell, user), path }
}

const numbersIn = (path: string): number[] =>
  [...readFileSync(path, 'latin1').matchAll(/"facts":\{"n":(\d+)\}/g)].map(([, n]) => Number(n))
const whysIn = (path: string): string[] =>
  [...readFileSync(path, 'latin1').matchAll(/"why":"(\w+)"/g)].map(([, why]) => why!)
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1)
const lastHead = ({ printed }: Child): AuditHead =>
  JSON.parse(printed.findLast((line) => line.startsWith('head '))!.slice('head '.length)) as AuditHead

/** What a new process does with the file that a dead one left. */
async function reopened(path: string): Promise<void> {
  const file = new AuditFile({
    path,
    signer: signer(key),
    checkpointEvery: 50,
    checkpointMs: 10_000,
    mode: 0o600,
    maxPending: 100,
  })
  file.attach({ clock: fakeClock(), log: { info: () => {}, warn: () => {}, error: () => {} } })
  await file.close()
}

describe('a process that is killed with -9', () => {
  test.each(
    ['turn', 'before-reply'].flatMap((durability) => [1, 2, 3].map((run) => [durability, run] as const)),
  )('has lost nothing from turns that were over (%s, run %i)', async (durability) => {
    const child = start(
      `
      let n = 0
      const more = () => {
        say('done ' + n)
        for (let i = 0; i < 20; i++) record(++n)
        setImmediate(more)
      }
      more()
    `,
      durability,
    )
    await child.until('done 500')
    await new Promise((wait) => setTimeout(wait, Math.random() * 100))
    child.process.kill('SIGKILL')
    expect((await child.ended).signal).toBe('SIGKILL')

    const done = Number(child.printed.findLast((line) => line.startsWith('done '))!.slice('done '.length))
    const written = numbersIn(child.path)
    expect(written.length).toBeGreaterThanOrEqual(done)
    expect(written).toEqual(upTo(written.length))

    const before = await verifyAudit(child.path, { publicKey, head: lastHead(child) })
    expect(before.problems.filter(({ kind }) => kind !== 'torn')).toEqual([])
    expect(before.problems.length).toBeLessThanOrEqual(1)
    expect(before.tail).toBe('proven')

    await reopened(child.path)
    expect(await verifyAudit(child.path, { publicKey, head: lastHead(child) })).toMatchObject({ ok: true })
  })

  test.each([1, 2, 3])(
    'has on record every refusal that any client has seen, with before-reply (run %i)',
    async () => {
      const child = start(
        `
      const refusing = defineStage('refusing', () => ({ enter: () => refuse('forbidden') }))
      const run = compile([requestId().stage, stage, refusing().stage], { services })
      const server = createServer((req, res) => run(req, res, () => res.end()))
      server.listen(0, '127.0.0.1', () => say('port ' + server.address().port))
    `,
        'before-reply',
      )
      const port = Number(await child.until('port '))
      const seen: string[] = []
      const agent = new Agent({ keepAlive: true, maxSockets: 16 })
      const ask = (): Promise<void> =>
        new Promise<void>((next, over) => {
          get({ port, host: '127.0.0.1', agent }, (reply: IncomingMessage) => {
            seen.push(String(reply.headers['x-request-id']))
            reply.resume().on('close', next)
          }).on('error', over)
        }).then(ask)
      const clients = Array.from({ length: 16 }, () => ask().catch(() => undefined))
      while (seen.length < 300) await new Promise((wait) => setTimeout(wait, 5))
      await new Promise((wait) => setTimeout(wait, Math.random() * 100))
      child.process.kill('SIGKILL')
      await Promise.all(clients)
      await child.ended
      agent.destroy()

      const text = readFileSync(child.path, 'latin1')
      const decided = new Set(
        [...text.matchAll(/"kind":"decision".*?"requestId":"([^"]+)"/g)].map(([, id]) => id),
      )
      expect(seen.filter((id) => !decided.has(id))).toEqual([])
      const { problems } = await verifyAudit(child.path, { publicKey, head: lastHead(child) })
      expect(problems.filter(({ kind }) => kind !== 'torn')).toEqual([])
    },
  )
})

describe('a process that ends in the turn of its last event loses none and signs the end', () => {
  test.each(
    ['turn', 'before-reply'].flatMap((durability) =>
      (
        [
          ['by process.exit', 'process.exit(3)', 3],
          ['by an uncaught exception', "throw new Error('oops')", 1],
          ['by an unhandled rejection', "Promise.reject(new Error('oops'))", 1],
        ] as const
      ).map(([how, end, code]) => [how, durability, end, code] as const),
    ),
  )('%s (%s)', async (_how, durability, end, code) => {
    const child = start(`for (let n = 1; n <= 1000; n++) record(n)\n${end}`, durability)
    expect((await child.ended).code).toBe(code)

    expect(numbersIn(child.path)).toEqual(upTo(1000))
    expect(whysIn(child.path).at(-1)).toBe('exit')
    expect(existsSync(`${child.path}.lock`)).toBe(false)
    expect(await verifyAudit(child.path, { publicKey, head: lastHead(child) })).toMatchObject({
      ok: true,
      tail: 'proven',
      behindHead: 0,
    })
  })

  test('also what its own exit listeners put on record', async () => {
    const child = start(`process.on('exit', () => record(2))\nrecord(1)\nprocess.exit()`)
    await child.ended
    expect(numbersIn(child.path)).toEqual([1, 2])
    expect(await verifyAudit(child.path, { publicKey })).toMatchObject({ ok: true })
  })

  test('by running out of things to do', async () => {
    const child = start('record(1)')
    expect((await child.ended).code).toBe(0)
    expect(numbersIn(child.path)).toEqual([1])
    expect(whysIn(child.path)).toEqual(['start', 'exit'])
  })
})

describe('a process that is asked to go', () => {
  test('and closes has the end signed', async () => {
    const child = start(`
      process.on('SIGTERM', () => stage.close())
      const idle = setInterval(() => {}, 1000)
      process.on('SIGTERM', () => clearInterval(idle))
      record(1)
      setImmediate(() => say('ready'))
    `)
    await child.until('ready')
    child.process.kill('SIGTERM')
    expect((await child.ended).code).toBe(0)
    expect(whysIn(child.path)).toEqual(['start', 'close'])
    expect(await verifyAudit(child.path, { publicKey, head: lastHead(child) })).toMatchObject({
      ok: true,
      behindHead: 0,
    })
  })

  test('and does not listen has lost nothing from turns that were over', async () => {
    const child = start(`
      setInterval(() => {}, 1000)
      record(1)
      setImmediate(() => setImmediate(() => say('ready')))
    `)
    await child.until('ready')
    child.process.kill('SIGTERM')
    expect((await child.ended).signal).toBe('SIGTERM')
    expect(numbersIn(child.path)).toEqual([1])
    expect((await verifyAudit(child.path, { publicKey })).ok).toBe(true)
    await reopened(child.path)
    expect(await verifyAudit(child.path, { publicKey })).toMatchObject({ ok: true })
  })
})

test('a second process is kept out of the file, by name, and let in when the first was killed', async () => {
  const first = start(`setInterval(() => {}, 1000); say('ready')`)
  await first.until('ready')
  const second = start('')
  const { code, stderr } = await second.ended
  expect(code).toBe(1)
  expect(stderr).toContain('ConfigError')
  expect(stderr).toContain("'{pid}'")
  expect(stderr).not.toContain('PRIVATE KEY')

  first.process.kill('SIGKILL')
  await first.ended
  const third = start('record(1)')
  expect((await third.ended).code).toBe(0)
  expect(numbersIn(third.path)).toEqual([1])
})

test('a file that may not grow any more: said once, no half line, and it goes on in a new one', async () => {
  const child = start(
    `
      process.on('SIGXFSZ', () => {})
      let n = 0
      let sick = false
      const more = setInterval(() => {
        const { failing } = stage.stats()
        if (failing && !sick) say('sick')
        if (!failing && sick) {
          clearInterval(more)
          stage.close().then(() => say('stats ' + JSON.stringify(stage.stats())))
        }
        for (let i = 0; !sick && i < 10; i++) record(++n)
        sick = failing
      }, 2)
    `,
    'turn',
    'ulimit -f 100',
  )
  await child.until('sick')
  renameSync(child.path, `${child.path}.1`)
  const stats = JSON.parse(await child.until('stats ')) as Record<string, unknown>
  await child.ended

  expect(child.printed.filter((line) => line === 'log audit: the file takes no events').length).toBe(1)
  const written = [...numbersIn(`${child.path}.1`), ...numbersIn(child.path)]
  expect(stats).toEqual({ written: written.length, dropped: 0, failing: false })
  expect(written).toEqual(upTo(written.length))
  expect(
    await verifyAudit([`${child.path}.1`, child.path], { publicKey, head: lastHead(child) }),
  ).toMatchObject({ ok: true, tail: 'proven', behindHead: 0 })
})

test('no permission any more, as another user: said once, waits, goes on where it was when it is given back', async () => {
  // Nothing keeps root out, so there the writer is nobody; anybody else is kept out as they are.
  const writer = process.getuid!() === 0 ? { uid: 65_534, gid: 65_534 } : {}
  const directory = files.path('.')
  if (writer.uid !== undefined) chownSync(directory, writer.uid, writer.gid)
  const child = start(
    `
      let n = 0
      const more = setInterval(() => { record(++n); say('done ' + n) }, 1)
      process.on('SIGTERM', () => {
        clearInterval(more)
        stage.close().then(() => { say('stats ' + JSON.stringify(stage.stats())); process.exit() })
      })
    `,
    'turn',
    undefined,
    writer,
  )
  await child.until('done 10')
  chmodSync(directory, 0)
  await child.until('log audit: the file takes no events')
  chmodSync(directory, 0o755)
  await child.until('log audit: the file takes events again')
  child.process.kill('SIGTERM')
  const stats = JSON.parse(await child.until('stats ')) as Record<string, unknown>
  expect((await child.ended).code).toBe(0)

  const written = numbersIn(child.path)
  expect(written).toEqual(upTo(written.length))
  expect(stats).toEqual({ written: written.length, dropped: 0, failing: false })
  expect(child.printed.filter((line) => line === 'log audit: the file takes no events')).toHaveLength(1)
  expect(await verifyAudit(child.path, { publicKey, head: lastHead(child) })).toMatchObject({
    ok: true,
    tail: 'proven',
    behindHead: 0,
  })
})
