/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- winston types transports as interfaces */
import winston from 'winston'
import Transport from 'winston-transport'
import { Writable } from 'node:stream'
import { EventEmitter } from 'node:events'
import { LoggerSink, type AuditLogger } from '../../src/observe/audit-logger.js'
import { fakeClock } from '../../src/testing/index.js'

const turn = (): Promise<void> => new Promise((done) => setImmediate(done))

function sink(logger: AuditLogger, maxPending = 1_000) {
  const clock = fakeClock()
  const logged: string[] = []
  const log = {
    info: () => undefined,
    warn: (text: string) => logged.push(text),
    error: (text: string) => logged.push(text),
  }
  const made = new LoggerSink(logger, maxPending)
  made.attach({ clock, log: log })
  const write = (count = 1): void => {
    for (let i = 0; i < count; i++) made.write({ kind: 'test', severity: 'info', n: i })
  }
  return { sink: made, health: made.health, clock, logged, write }
}

/** Lines that a stream was given. */
function collecting() {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(...chunk.toString().split('\n').slice(0, -1))
      done()
    },
  })
  return { lines, stream }
}

describe('a winston logger', () => {
  test('gets one JSON line per event, by severity, through its own format (ASVS 16.2.4)', async () => {
    const { lines, stream } = collecting()
    const logger = winston.createLogger({
      defaultMeta: { app: 'orders' },
      format: winston.format.combine(
        winston.format.timestamp(),
        winston.format.splat(),
        winston.format.json(),
      ),
      transports: [new winston.transports.Stream({ stream })],
    })
    const { sink: to } = sink(logger)
    for (const severity of ['info', 'low', 'medium', 'high']) {
      to.write({ kind: 'test', severity, reason: '100 %s %d', facts: { message: 'm', level: 'l' } })
    }
    await turn()
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(events.map(({ level }) => level)).toEqual(['info', 'warn', 'warn', 'error'])
    expect(events[0]).toMatchObject({
      message: 'audit',
      kind: 'test',
      app: 'orders',
      reason: '100 %s %d',
      facts: { message: 'm', level: 'l' },
    })
  })

  test('whose format is not JSON gets one line per event as well (ASVS 16.4.1)', async () => {
    const { lines, stream } = collecting()
    const logger = winston.createLogger({
      format: winston.format.printf(({ kind, path }) => `${String(kind)} ${String(path)}`),
      transports: [new winston.transports.Stream({ stream })],
    })
    sink(logger).sink.write({ kind: 'test', path: '/a\r\nforged \u001b[2J' })
    await turn()
    expect(lines).toEqual(['test /a\\u000d\\u000aforged \\u001b[2J'])
  })

  test('with a transport that hangs is bounded, counted, and used again when it wakes', async () => {
    const stuck: (() => void)[] = []
    let hung = true
    const seen: unknown[] = []
    class Hanging extends Transport {
      override log(info: unknown, next: () => void): void {
        seen.push(info)
        if (hung) stuck.push(next)
        else next()
      }
    }
    const logger = winston.createLogger({ transports: [new Hanging()] })
    const { health, write, clock, logged } = sink(logger, 50)
    for (let i = 0; i < 1_000; i++) {
      write()
      if (i % 100 === 0) await turn()
    }
    expect(health.failing).toBe(true)
    expect(health.dropped).toBeGreaterThan(800)
    expect(logger.writableLength).toBeLessThanOrEqual(50)
    expect(logged).toEqual(['audit: the logger takes no events'])

    hung = false
    for (const next of stuck.splice(0)) next()
    await turn()
    clock.advance(1_000)
    write()
    await turn()
    expect(health.failing).toBe(false)
    expect(logged).toEqual(['audit: the logger takes no events', 'audit: the logger takes events again'])
    expect(seen.length).toBe(health.written)
    expect(seen.at(-1)).toMatchObject({ kind: 'audit-gap', facts: { lost: health.dropped } })
  })

  test('with a transport that fails is counted, does not bring the process down, and recovers', async () => {
    let broken = true
    class Failing extends Transport {
      override log(_info: unknown, next: () => void): void {
        if (broken) this.emit('error', new Error('no disk'))
        next()
      }
    }
    const logger = winston.createLogger({ transports: [new Failing()] })
    const { health, write, clock, logged, sink: to } = sink(logger)
    write(2)
    await turn()
    expect(health).toMatchObject({ failing: true })
    expect(health.dropped).toBeGreaterThanOrEqual(1)
    expect(logged).toHaveLength(1)
    clock.advance(999)
    write()
    await turn()
    expect(health.failing).toBe(true)

    broken = false
    clock.advance(1_000)
    write()
    await turn()
    expect(health.failing).toBe(false)
    await to.close()
    expect(logger.listenerCount('error')).toBe(0)
  })
})

describe('any logger', () => {
  test('that throws is counted, and asked again each time', () => {
    let calls = 0
    const bad = (): never => {
      calls++
      throw new Error('no')
    }
    const { health, write } = sink({ info: bad, warn: bad, error: bad })
    write(3)
    expect(calls).toBe(3)
    expect(health).toMatchObject({ written: 0, dropped: 3, failing: true })
  })

  test('is given nothing after the end: what still comes is counted, and said once', async () => {
    const { sink: to, health, write, logged, clock } = sink({ info: () => 0, warn: () => 0, error: () => 0 })
    write()
    await to.close()
    write(2)
    clock.advance(5_000)
    write()
    expect(health).toMatchObject({ written: 1, dropped: 3, failing: true })
    expect(logged).toEqual(['audit: the logger takes no events'])
  })

  test('that answers with a promise that throws is counted, and the promise is not waited for', async () => {
    const bad = (): never => ({ then: () => { throw new Error('no') } }) as never // prettier-ignore
    const { health, write } = sink({ info: bad, warn: bad, error: bad }, 2)
    write(2)
    await turn()
    expect(health).toMatchObject({ written: 2, dropped: 2, failing: true })
  })

  test('may return promises: rejections are counted and caught, and what hangs is bounded', async () => {
    const settle: { done: () => void; fail: (cause: Error) => void }[] = []
    const later = (): Promise<void> => new Promise((done, fail) => settle.push({ done, fail }))
    const { health, write, clock } = sink({ info: later, warn: later, error: later }, 10)
    write(25)
    expect(settle).toHaveLength(10)
    expect(health).toMatchObject({ written: 10, dropped: 15, failing: true })

    for (const { done } of settle.splice(0)) done()
    await turn()
    clock.advance(1_000)
    write()
    expect(health.failing).toBe(false)
    settle[0]!.fail(new Error('no'))
    await turn()
    expect(health).toMatchObject({ dropped: 16, failing: true })
  })

  test('that looks like console gets text, because console would break an object into lines', () => {
    const lines: unknown[] = []
    const at = (...all: unknown[]): void => void lines.push(...all)
    const { write } = sink({ ...console, info: at, warn: at, error: at })
    write()
    expect(lines).toEqual(['{"kind":"test","severity":"info","n":0}'])
  })

  test('that emits its own errors has our listener for as long as we use it', async () => {
    class Own extends EventEmitter {
      info = (): void => undefined
      warn = (): void => undefined
      error = (): void => undefined
    }
    const logger = new Own()
    const { sink: to, health } = sink(logger)
    logger.emit('error', new Error('gone'))
    expect(health).toMatchObject({ dropped: 1, failing: true })
    await to.close()
    expect(logger.listenerCount('error')).toBe(0)
    to.write({ kind: 'late' })
    expect(health.dropped).toBe(2)
  })

  test('gets each event as an object of its own, so that it may write into it', () => {
    const entries: object[] = []
    const keep = (entry: object): void => void entries.push(Object.assign(entry, { level: 'x', extra: 1 }))
    const { sink: to } = sink({ info: keep, warn: keep, error: keep })
    const event = { kind: 'test', severity: 'info' }
    to.write(event)
    to.write(event)
    expect(event).toEqual({ kind: 'test', severity: 'info' })
    expect(entries[0]).not.toBe(entries[1])
  })
})
