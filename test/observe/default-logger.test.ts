import type { AuditStats } from '../../src/observe/audit-sink.js'
import { compiled } from './support/child.js'

// Processes are started, on machines that may be busy.
jest.setTimeout(60_000)

let sources: ReturnType<typeof compiled>
beforeAll(() => {
  sources = compiled()
})
afterEach(() => sources.stop())
afterAll(() => sources.remove())

const PRELUDE = `
  const { audit } = require('./src/observe/audit.js')
  const { SecurityContext } = require('./src/kernel/context.js')
  const { createServices } = require('./src/kernel/services.js')
  const services = createServices()
  const record = (stage, n) => {
    const ctx = new SecurityContext({ method: 'GET', url: '/', headers: {}, socket: {} }, {}, services)
    stage.enter(ctx)
    ctx.record('test', { n, text: 'a\\r\\nb' })
  }
`
const numbers = (lines: readonly string[]): number[] =>
  lines.map((line) => (JSON.parse(line) as { facts: { n: number } }).facts.n)
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1)

describe('without a logger and a file, events go to stdout as JSON lines', () => {
  test('from the first one on, in order, also if the process exits at once (ASVS 16.2.4)', async () => {
    const child = sources.start(`${PRELUDE}
      const { stage } = audit()
      for (let n = 1; n <= 50; n++) record(stage, n)
      stage.ready(services).then(() => {
        for (let n = 51; n <= 500; n++) record(stage, n)
        process.exit()
      })`)
    await child.ended
    expect(numbers(child.printed)).toEqual(upTo(500))
    const [first, last] = [child.printed[0]!, child.printed.at(-1)!].map((line) => JSON.parse(line) as object)
    expect(Object.keys(last!).sort()).toEqual(Object.keys(first!).sort())
    expect(last).toMatchObject({ level: 'warn', message: 'audit', kind: 'test', severity: 'medium' })
  })

  test.each([1, 2, 3])(
    'whole, also to a reader that was asleep when the process exited (run %i)',
    async () => {
      const child = sources.start(`${PRELUDE}
      const { stage } = audit({ maxPending: 5_000 })
      stage.ready(services).then(() => {
        for (let n = 1; n <= 5_000; n++) record(stage, n)
        process.stderr.write('exits')
        process.exit()
      })`)
      child.process.stdout!.pause()
      child.process.stderr!.once('data', () => child.process.stdout!.resume())
      expect((await child.ended).code).toBe(0)
      expect(numbers(child.printed)).toEqual(upTo(5_000))
    },
  )

  test('so many may wait for a reader that is asleep, and the rest is counted and put on record', async () => {
    const child = sources.start(`${PRELUDE}
      const { stage } = audit({ maxPending: 100 })
      stage.ready(services).then(() => {
        for (let n = 1; n <= 20_000; n++) record(stage, n)
        process.stderr.write('stats ' + JSON.stringify(stage.stats()))
        const more = setInterval(() => {
          record(stage, 0)
          if (!stage.stats().failing) clearInterval(more)
        }, 50)
      })`)
    child.process.stdout!.pause()
    child.process.stderr!.once('data', () => child.process.stdout!.resume())
    const { code, stderr } = await child.ended
    expect(code).toBe(0)
    const { written, dropped, failing } = JSON.parse(/stats (.*?\})/.exec(stderr)![1]!) as AuditStats
    expect(failing).toBe(true)
    expect(written + dropped).toBe(20_000)
    const lines = child.printed.map(
      (line) => JSON.parse(line) as { kind: string; facts: { n: number; lost: number } },
    )
    expect(lines.filter(({ facts }) => facts.n > 0).map(({ facts }) => facts.n)).toEqual(upTo(written))
    expect(lines.find(({ kind }) => kind === 'audit-gap')!.facts.lost).toBeGreaterThanOrEqual(dropped)
  })

  test('whose reader goes away: said once, counted, and the process lives on', async () => {
    const child = sources.start(`${PRELUDE}
      const { stage } = audit()
      process.on('uncaughtException', (error) => {
        process.stderr.write('UNCAUGHT ' + error.message)
        process.exit(9)
      })
      stage.ready(services).then(() => {
        process.stdout.write('ready\\n')
        let n = 0
        const more = setInterval(() => {
          record(stage, ++n)
          if (!stage.stats().failing) return
          for (let i = 0; i < 1_000; i++) record(stage, ++n)
          process.stderr.write('stats ' + JSON.stringify({ ...stage.stats(), n }))
          clearInterval(more)
        }, 2)
      })`)
    await child.until('ready')
    child.process.stdout!.destroy()
    const { code, stderr } = await child.ended
    expect(code).toBe(0)
    expect(stderr).not.toContain('UNCAUGHT')
    expect(stderr.match(/takes no events/g)).toHaveLength(1)
    const { dropped, n } = JSON.parse(/stats (.*?\})/.exec(stderr)![1]!) as AuditStats & { n: number }
    expect(dropped).toBeGreaterThanOrEqual(1_001)
    expect(dropped).toBeLessThanOrEqual(n)
  })

  test('also where winston cannot be imported', async () => {
    const child = sources.start(`
      const Module = require('node:module')
      const load = Module._load
      Module._load = (name, ...rest) => {
        if (name === 'winston') throw new Error('not here')
        return load(name, ...rest)
      }
      ${PRELUDE}
      const { stage } = audit()
      stage.ready(services).then(() => {
        for (let n = 1; n <= 100; n++) record(stage, n)
      })`)
    expect((await child.ended).code).toBe(0)
    expect(numbers(child.printed)).toEqual(upTo(100))
  })
})

test('winston is loaded by those only who let it write (import cost)', async () => {
  const child = sources.start(`${PRELUDE}
    const loaded = () => Object.keys(require.cache).some((file) => file.includes('/winston/'))
    const log = () => undefined
    audit({ logger: { info: log, warn: log, error: log } })
    setImmediate(() => {
      console.log('with a logger ' + loaded())
      audit().stage.ready(services).then(() => console.log('without ' + loaded()))
    })`)
  await child.ended
  expect(child.printed).toEqual(['with a logger false', 'without true'])
})
