import * as fs from 'node:fs'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { AuditHead } from '../../src/observe/audit-chain.js'
import { signer } from '../../src/observe/audit-checkpoint.js'
import { AuditFile, type AuditFileSettings } from '../../src/observe/audit-file.js'
import type { FileSystem } from '../../src/observe/audit-files.js'
import { verifyAudit } from '../../src/observe/verify-audit.js'
import { fakeClock } from '../../src/testing/index.js'
import { keyPair, scratch } from './support/trail.js'

const files = scratch()
const { key, publicKey } = keyPair()
const turn = (): Promise<void> => new Promise((done) => setImmediate(done))

/** Calls of the file system that fail while `sick` says how. */
function frail() {
  const state: { sick: string | undefined; room: number; cut: string | undefined } = {
    sick: undefined,
    room: Infinity,
    cut: undefined,
  }
  const error = (code: string): Error => Object.assign(new Error(code), { code })
  const system: FileSystem = {
    ...fs,
    writeSync: ((fd: number, text: string) => {
      if (state.sick !== undefined) throw error(state.sick)
      const part = text.slice(0, Math.min(text.length, state.room))
      if (part === '') throw error('ENOSPC')
      state.room -= part.length
      return fs.writeSync(fd, part, null, 'latin1')
    }) as FileSystem['writeSync'],
    ftruncateSync(fd, length) {
      if (state.cut !== undefined) throw error(state.cut)
      fs.ftruncateSync(fd, length)
    },
  }
  return { state, system }
}

function open(more: Partial<AuditFileSettings> = {}, system?: FileSystem) {
  const clock = fakeClock()
  const logged: string[] = []
  const log = {
    info: () => undefined,
    warn: (text: string) => logged.push(text),
    error: (text: string) => logged.push(text),
  }
  const heads: AuditHead[] = []
  const path = more.path ?? files.path('audit.jsonl')
  const settings = {
    path,
    signer: signer(key),
    checkpointEvery: 1_000,
    checkpointMs: 10_000,
    mode: 0o600,
    maxPending: 100,
    onCheckpoint: (head: AuditHead) => heads.push(head),
    ...more,
  }
  const file = new AuditFile(settings, system)
  opened.push(file)
  file.attach({ clock, log: log })
  const write = (...names: string[]): void => {
    for (const name of names) file.write({ kind: 'test', name }, false)
  }
  return {
    file,
    path,
    clock,
    logged,
    heads,
    write,
    verify: () => verifyAudit(path, { publicKey, head: heads.at(-1)! }),
  }
}
const opened: AuditFile[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((file) => file.close()))
})

const linesOf = (path: string) =>
  readFileSync(path, 'latin1')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown> & { facts: Record<string, unknown> })
const kinds = (path: string) =>
  linesOf(path).map(({ kind, why, name }) =>
    String(kind === 'checkpoint' ? `(${String(why)})` : (name ?? kind)),
  )

describe('writing', () => {
  test('ends with close(): events of requests that still come are counted, and the loss is said once', async () => {
    const { file, path, write, logged, clock } = open()
    write('a')
    await turn()
    await file.close()
    write('b', 'c')
    clock.advance(5_000)
    write('d')
    await turn()
    expect(kinds(path)).toEqual(['(start)', 'a', '(close)'])
    expect(file.health).toMatchObject({ written: 1, dropped: 3, failing: true })
    expect(logged).toEqual(['audit: the file takes no events'])
  })

  test('begins with a signed checkpoint and ends with one', async () => {
    const { file, path, write, verify } = open()
    write('a', 'b')
    await turn()
    await file.close()

    expect(kinds(path)).toEqual(['(start)', 'a', 'b', '(close)'])
    expect(await verify()).toMatchObject({ ok: true, signedTo: 4, tail: 'proven', behindHead: 0 })
    expect(linesOf(path)[0]).toMatchObject({ previous: 'none', pid: process.pid, every: 1_000 })
  })

  test('puts the events of one turn into one write at its end', async () => {
    const { system } = frail()
    const texts: string[] = []
    const { write, path } = open(
      {},
      {
        ...system,
        writeSync: ((fd: number, text: string) => {
          texts.push(text)
          return fs.writeSync(fd, text, null, 'latin1')
        }) as FileSystem['writeSync'],
      },
    )
    await turn()
    write('a', 'b', 'c')
    expect(kinds(path)).toEqual(['(start)'])
    await turn()
    expect(texts).toHaveLength(2)
    expect(texts[1]!.split('\n')).toHaveLength(4)
  })

  test('writes at once what must not wait, together with what waited', () => {
    const { file, path, write } = open()
    write('a')
    file.write({ kind: 'test', name: 'b' }, true)
    expect(kinds(path)).toEqual(['(start)', 'a', 'b'])
  })

  test('does not let a long turn pile up events', () => {
    const { write, path, file } = open({ maxPending: 100 })
    for (let i = 0; i < 250; i++) write(`e${i}`)
    expect(kinds(path).length).toBeGreaterThan(200)
    expect(file.health.dropped).toBe(0)
  })

  test('does not let a long turn pile up bytes', () => {
    const { write, path } = open({ maxPending: 100_000 })
    const long = 'x'.repeat(500)
    for (let i = 0; i < 1_000; i++) write(long)
    expect(statSync(path).size).toBeGreaterThan(256 * 1024)
  })

  test('leaves no listener behind', async () => {
    const before = process.listenerCount('exit')
    const { file } = open()
    expect(process.listenerCount('exit')).toBe(before + 1)
    await file.close()
    await file.close()
    expect(process.listenerCount('exit')).toBe(before)
  })

  test('gives a new file to its owner only (ASVS 16.4.2)', () => {
    const { path } = open()
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('counts what comes after the end as lost', async () => {
    const { file, write } = open()
    await file.close()
    write('late')
    await turn()
    expect(file.health).toMatchObject({ written: 0, dropped: 1 })
  })
})

describe('checkpoints', () => {
  test('come after so many lines, exactly, however many one turn brings', async () => {
    const { path, write, heads, verify } = open({ checkpointEvery: 3 })
    write('a', 'b', 'c', 'd', 'e', 'f', 'g')
    await turn()
    expect(kinds(path)).toEqual(['(start)', 'a', 'b', 'c', '(records)', 'd', 'e', 'f', '(records)', 'g'])
    write('h', 'i')
    await turn()
    expect(kinds(path).slice(-3)).toEqual(['h', 'i', '(records)'])
    expect(heads.at(-1)).toMatchObject({ count: 13 })
    expect(await verify()).toMatchObject({ ok: true, tail: 'proven', behindHead: 0 })
  })

  test('come after so much time, if there is anything to confirm', async () => {
    const { path, write, clock } = open({ checkpointMs: 5_000 })
    write('a')
    await turn()
    clock.advance(4_999)
    expect(kinds(path)).toEqual(['(start)', 'a'])
    clock.advance(1)
    expect(kinds(path)).toEqual(['(start)', 'a', '(time)'])
    clock.advance(60_000)
    expect(kinds(path)).toEqual(['(start)', 'a', '(time)'])
  })

  test('are unsigned without a key, and still give heads', async () => {
    const { file, path, write, heads } = open({ signer: undefined })
    write('a')
    await file.close()
    expect(linesOf(path)[0]).not.toHaveProperty('signature')
    expect(await verifyAudit(path, { head: heads.at(-1)! })).toMatchObject({
      ok: true,
      tail: 'proven',
      signedTo: 0,
    })
    expect((await verifyAudit(path, { publicKey })).ok).toBe(false)
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('away')
      },
    ],
    ['rejects', () => Promise.reject(new Error('away'))],
  ])('survive an onCheckpoint that %s', async (_how, onCheckpoint) => {
    const { file, path, write, logged } = open({ onCheckpoint })
    write('a')
    await turn()
    await turn()
    expect(logged).toEqual(['audit: onCheckpoint failed'])
    await file.close()
    expect(kinds(path)).toEqual(['(start)', 'a', '(close)'])
  })
})

describe('a restart', () => {
  test('goes on with the chain, and says that the run before ended well', async () => {
    const first = open()
    first.write('a')
    await first.file.close()
    const second = open()
    second.write('b')
    await second.file.close()

    expect(kinds(second.path)).toEqual(['(start)', 'a', '(close)', '(start)', 'b', '(close)'])
    expect(linesOf(second.path)[3]).toMatchObject({ seq: 4, previous: 'closed' })
    expect(second.heads.at(-1)!.chain).toBe(first.heads[0]!.chain)
    expect(await second.verify()).toMatchObject({ ok: true, signedTo: 6, tail: 'proven' })
  })

  test('cuts off the torn end of a line, puts that on record, and goes on', async () => {
    const first = open()
    first.write('a', 'b')
    await first.file.close()
    const whole = readFileSync(first.path, 'latin1')
    const torn = whole.slice(0, whole.length - 30)
    writeFileSync(first.path, torn)

    const second = open()
    second.write('c')
    await second.file.close()

    expect(kinds(second.path)).toEqual(['(start)', 'a', 'b', '(start)', 'audit-repaired', 'c', '(close)'])
    expect(linesOf(second.path)[3]).toMatchObject({ previous: 'cut' })
    expect(linesOf(second.path)[4]).toMatchObject({
      severity: 'medium',
      facts: { tornBytes: torn.length - torn.lastIndexOf('\n') - 1, invalidLines: 0 },
    })
    expect(await second.verify()).toMatchObject({ ok: true, tail: 'proven' })
  })

  test('leaves the torn end of a line where the file may only grow, and verification names it', async () => {
    const first = open()
    first.write('a', 'b')
    await first.file.close()
    const lines = readFileSync(first.path, 'latin1').split('\n')
    writeFileSync(first.path, [...lines.slice(0, 3), lines[3]!.slice(0, 50)].join('\n'))

    const { state, system } = frail()
    state.cut = 'EPERM'
    const second = open({}, system)
    second.write('c')
    await turn()
    second.write('d')
    await second.file.close()
    expect(second.file.health).toMatchObject({ failing: false, written: 2, dropped: 0 })
    expect(second.logged).toEqual([])
    expect(await second.verify()).toMatchObject({ problems: [{ kind: 'inserted', line: 4 }], tail: 'proven' })
  })

  test.each(['{"seq":1,"pr', '{"seq":1,"prev":"","kind":"checkpoint"', '\0\0\0\0'])(
    'after dying within its first line (%j) begins anew',
    async (text) => {
      const path = files.write('audit.jsonl', text)
      const { file, write, verify } = open()
      write('a')
      await file.close()
      expect(kinds(path)).toEqual(['(start)', 'audit-repaired', 'a', '(close)'])
      expect(await verify()).toMatchObject({ ok: true })
    },
  )

  test('leaves lines at the end that are not its own where they are, and verification names them', async () => {
    const first = open()
    first.write('a')
    await first.file.close()
    writeFileSync(first.path, 'what is this\n', { flag: 'a' })
    const second = open()
    second.write('b')
    await second.file.close()

    expect(readFileSync(second.path, 'latin1').split('\n')[3]).toBe('what is this')
    expect(
      linesOf(files.write('without', readFileSync(second.path, 'latin1').replace('what is this\n', '')))[4],
    ).toMatchObject({
      kind: 'audit-repaired',
      severity: 'high',
      facts: { invalidLines: 1 },
    })
    expect((await second.verify()).problems).toMatchObject([{ kind: 'inserted', line: 4 }])
  })

  test('goes on from the last line that is intact', async () => {
    const first = open()
    first.write('a', 'b')
    await first.file.close()
    writeFileSync(first.path, readFileSync(first.path, 'latin1').replace('"why":"close"', '"why":"clone"'))
    const second = open()
    second.write('c')
    await second.file.close()

    const lines = linesOf(second.path)
    expect(lines[4]).toMatchObject({ seq: 4, why: 'start', previous: 'cut' })
    expect(lines[5]).toMatchObject({ kind: 'audit-repaired', facts: { invalidLines: 1 } })
    expect((await second.verify()).problems).toMatchObject([{ kind: 'inserted', line: 4 }])
  })

  test.each([
    ['JSON of somebody else', '{"name":"secure-api"}\n'],
    ['a log', 'GET / 200\nGET / 200\n'],
    ['text without a line end', 'precious'],
    ['binary', '\xff\xfe\x00'],
  ])('refuses to touch a file that holds %s', (_what, text) => {
    const path = files.write('audit.jsonl', text)
    expect(() => open()).toThrow('no audit trail')
    expect(readFileSync(path, 'utf8')).toBe(text)
    expect(existsSync(`${path}.lock`)).toBe(false)
  })

  test('finds the last good line of a large file without reading it all', async () => {
    const first = open({ checkpointEvery: 100_000 })
    for (let i = 0; i < 12_000; i++) first.write(`event ${i} ${'x'.repeat(100)}`)
    await first.file.close()
    let read = 0
    const second = open(
      {},
      {
        ...fs,
        readSync: ((...call: Parameters<typeof fs.readSync>) => {
          const bytes = fs.readSync(...call)
          read += bytes
          return bytes
        }) as FileSystem['readSync'],
      },
    )
    second.write('b')
    await second.file.close()
    expect(statSync(second.path).size).toBeGreaterThan(2_500_000)
    expect(read).toBeLessThan(1_200_000)
    expect((await second.verify()).ok).toBe(true)
  })
})

describe('one writer', () => {
  test('keeps a second instance out, and lets it in when the first has ended', async () => {
    const first = open()
    expect(() => open()).toThrow(expect.objectContaining({ name: 'ConfigError', code: 'audit-file-locked' }))
    await first.file.close()
    expect(() => open()).not.toThrow()
  })

  test('stops writing where another process has taken the file, to which it looked dead', async () => {
    const { file, path, write, clock, logged } = open()
    write('a')
    await turn()
    writeFileSync(`${path}.lock`, 'somebody else')
    for (let i = 0; i < 3; i++) {
      writeFileSync(path, 'of somebody else\n', { flag: 'a' })
      write('b')
      await turn()
      clock.advance(1_000)
    }
    expect(file.health.failing).toBe(true)
    expect(readFileSync(path, 'latin1')).not.toContain('"b"')
    expect(logged.filter((text) => text.includes('somebody else has written'))).toHaveLength(1)
  })

  test('notices that somebody else wrote into the file: says so, records it, glues nothing together', async () => {
    const { file, path, write, logged, verify } = open()
    write('a')
    await turn()
    writeFileSync(path, 'unfinished', { flag: 'a' })
    write('b')
    await file.close()

    expect(logged).toEqual([`audit: somebody else has written to ${path}`])
    expect((await verify()).problems).toMatchObject([{ kind: 'inserted', line: 3 }])
    expect(readFileSync(path, 'latin1')).toContain('"kind":"audit-foreign-write"')
  })
})

describe('rotation', () => {
  test('follows a file that was renamed, and the chain goes on in the new one', async () => {
    const { file, path, write, heads, logged } = open()
    write('a')
    await turn()
    renameSync(path, `${path}.1`)
    write('b')
    await turn()
    renameSync(path, `${path}.2`)
    writeFileSync(path, '', { mode: 0o600 })
    write('c')
    await file.close()

    expect(kinds(`${path}.1`)).toEqual(['(start)', 'a'])
    expect(kinds(`${path}.2`)).toEqual(['(rotation)', 'b'])
    expect(kinds(path)).toEqual(['(rotation)', 'c', '(close)'])
    expect(logged).toHaveLength(2)
    expect(
      await verifyAudit([`${path}.1`, `${path}.2`, path], { publicKey, head: heads.at(-1)! }),
    ).toMatchObject({
      ok: true,
      first: 1,
      tail: 'proven',
      lines: 7,
    })
    expect(await verifyAudit(path, { publicKey, head: heads.at(-1)! })).toMatchObject({ ok: true, first: 5 })
  })

  test('goes on with the chain after a restart on a rotated file', async () => {
    const first = open()
    first.write('a')
    await turn()
    renameSync(first.path, `${first.path}.1`)
    first.write('b')
    await first.file.close()
    const second = open()
    second.write('c')
    await second.file.close()
    expect(
      await verifyAudit([`${first.path}.1`, first.path], { publicKey, head: second.heads.at(-1)! }),
    ).toMatchObject({ ok: true, tail: 'proven' })
  })

  test('notices that the file was shortened under it', async () => {
    const { file, path, write, logged } = open()
    write('a', 'b')
    await turn()
    const copy = files.write('copy', readFileSync(path, 'latin1'))
    fs.truncateSync(path, 0)
    write('c')
    await file.close()
    expect(kinds(path)).toEqual(['(truncation)', 'audit-truncated', 'c', '(close)'])
    expect(logged).toEqual([`audit: somebody else has shortened ${path}`])
    expect(await verifyAudit([copy, path], { publicKey })).toMatchObject({ ok: true })
  })

  test.each([
    ['emptied', [0], ['1 to 4']],
    ['emptied twice', [0, 0], ['1 to 8']],
    ['emptied, then cut', [0, 1], ['1 to 4', '6 to 8']],
    ['cut, then emptied', [2, 0], ['1 to 8']],
    ['cut twice', [2, 3], ['3 to 4', '6 to 8']],
  ])('a file that was %s is never called sound, and every gap is named', async (_how, cuts, gaps) => {
    const { file, path, write, verify } = open()
    write('a', 'b', 'c')
    await turn()
    for (const kept of cuts) {
      const lines = readFileSync(path, 'latin1').split('\n').slice(0, kept)
      fs.truncateSync(path, lines.map((line) => `${line}\n`).join('').length)
      write('d', 'e')
      await turn()
    }
    await file.close()

    const { problems, first } = await verify()
    expect(first).toBe(1)
    expect(problems.map(({ kind, detail }) => [kind, /lines (\d+ to \d+) of/.exec(detail)?.[1]])).toEqual(
      gaps.map((gap) => ['removed', gap]),
    )
  })

  test('a file that was emptied right after a rotation is not called sound, with its predecessor and without', async () => {
    const { file, path, write, heads } = open()
    write('a', 'b')
    await turn()
    renameSync(path, `${path}.1`)
    write('c')
    await turn()
    fs.truncateSync(path, 0)
    write('d')
    await file.close()

    expect(kinds(path)).toEqual(['(truncation)', 'audit-truncated', 'd', '(close)'])
    const head = heads.at(-1)!
    expect((await verifyAudit([`${path}.1`, path], { publicKey, head })).problems).toMatchObject([
      { kind: 'removed', file: 1, line: 1, detail: expect.stringContaining('lines 4 to 5') as string },
    ])
    expect((await verifyAudit(path, { publicKey, head })).problems).toMatchObject([
      { kind: 'removed', line: 1, detail: expect.stringContaining('lines 1 to 5') as string },
    ])
  })

  test.each([0, 2])('a rotated file that was cut to %i lines is not called sound', async (kept) => {
    const { file, path, write, heads } = open()
    write('a', 'b')
    await turn()
    renameSync(path, `${path}.1`)
    write('c')
    await file.close()
    const lines = readFileSync(`${path}.1`, 'latin1').split('\n').slice(0, kept)
    writeFileSync(`${path}.1`, lines.map((line) => `${line}\n`).join(''))

    const { problems } = await verifyAudit([`${path}.1`, path], { publicKey, head: heads.at(-1)! })
    expect(problems).toMatchObject([
      {
        kind: 'removed',
        file: 1,
        line: 1,
        detail: expect.stringContaining(`lines ${kept + 1} to 3`) as string,
      },
    ])
  })

  test('what lies in an earlier file that was not given is said to be unproven', async () => {
    const { file, path, write, heads } = open()
    write('a', 'b')
    await turn()
    renameSync(path, `${path}.1`)
    write('c')
    await file.close()

    const head = heads.at(-1)!
    expect(await verifyAudit(path, { publicKey, head })).toMatchObject({
      ok: true,
      first: 4,
      unproven: [{ from: 1, to: 3, why: 'earlier-file' }],
    })
    expect(await verifyAudit([`${path}.1`, path], { publicKey, head })).toMatchObject({
      ok: true,
      first: 1,
      unproven: [],
    })
  })

  test('waits while the directory is away, then goes on where it was, with its lock', async () => {
    mkdirSync(files.path('logs'))
    const path = join(files.path('logs'), 'audit.jsonl')
    const { file, write, clock, logged } = open({ path })
    write('a')
    await turn()
    rmSync(files.path('logs'), { recursive: true })
    write('b')
    await turn()
    expect(file.health.failing).toBe(true)
    write('c')
    await turn()
    mkdirSync(files.path('logs'))
    clock.advance(1_000)

    expect(file.health).toMatchObject({ failing: false, written: 3, dropped: 0 })
    expect(kinds(path)).toEqual(['(rotation)', 'b', 'c', '(time)'])
    expect(existsSync(`${path}.lock`)).toBe(true)
    expect(logged).toEqual([
      'audit: the file takes no events',
      `audit: ${path} was moved or removed; the trail goes on in a new file`,
      'audit: the file takes events again',
    ])
    expect(() => open({ path })).toThrow('another process')
  })

  test('does not fight for a file that another process has taken meanwhile', async () => {
    const { file, path, write, clock } = open()
    write('a')
    await turn()
    renameSync(path, `${path}.1`)
    writeFileSync(`${path}.lock`, 'somebody else')
    write('b')
    await turn()
    clock.advance(5_000)
    expect(file.health.failing).toBe(true)
    expect(readFileSync(path, 'latin1')).toBe('')
  })

  test('does not follow a link that was put in its place', async () => {
    const { file, path, write } = open()
    write('a')
    await turn()
    renameSync(path, `${path}.1`)
    const target = files.write('target', '')
    symlinkSync(target, path)
    write('b')
    await turn()
    expect(file.health.failing).toBe(true)
    expect(readFileSync(target, 'latin1')).toBe('')
  })
})

describe('a sick disk', () => {
  test.each(['ENOSPC', 'EIO', 'EDQUOT', 'EACCES'])(
    'keeps events through %s, says so once, and loses none of them',
    async (code) => {
      const { state, system } = frail()
      const { file, path, write, clock, logged, verify } = open({}, system)
      write('a')
      await turn()
      state.sick = code
      for (const name of ['b', 'c', 'd']) {
        write(name)
        await turn()
        clock.advance(1_000)
      }
      expect(file.health).toMatchObject({ failing: true, written: 1, dropped: 0 })
      expect(logged).toEqual(['audit: the file takes no events'])

      state.sick = undefined
      clock.advance(1_000)
      expect(file.health).toMatchObject({ failing: false, written: 4, dropped: 0 })
      expect(logged).toEqual(['audit: the file takes no events', 'audit: the file takes events again'])
      await file.close()
      expect(kinds(path)).toEqual(['(start)', 'a', 'b', 'c', 'd', '(time)', '(close)'])
      expect(await verify()).toMatchObject({ ok: true, tail: 'proven' })
    },
  )

  test('counts what does not fit any more, and puts the number on record when it is over', async () => {
    const { state, system } = frail()
    const { file, path, write, clock, verify } = open({ maxPending: 2 }, system)
    await turn()
    state.sick = 'ENOSPC'
    write('a')
    await turn()
    write('b', 'c', 'd', 'e')
    expect(file.health).toMatchObject({ failing: true, dropped: 3 })
    state.sick = undefined
    clock.advance(1_000)

    expect(kinds(path)).toEqual(['(start)', 'a', 'b', 'audit-gap', '(time)'])
    expect(linesOf(path)[3]).toMatchObject({ severity: 'high', facts: { lost: 3 } })
    write('f')
    await file.close()
    expect(await verify()).toMatchObject({ ok: true, tail: 'proven' })
    expect(file.health).toMatchObject({ written: 3, dropped: 3 })
  })

  test('leaves no half line when the disk is full in the middle of a write', async () => {
    const { state, system } = frail()
    const { path, write, clock, verify, file } = open({}, system)
    write('a')
    await turn()
    const before = readFileSync(path, 'latin1')
    state.room = 100
    write('b')
    await turn()
    expect(readFileSync(path, 'latin1')).toBe(before)
    state.room = Infinity
    clock.advance(1_000)
    await file.close()
    expect(kinds(path)).toEqual(['(start)', 'a', 'b', '(time)', '(close)'])
    expect(await verify()).toMatchObject({ ok: true })
  })

  test('cuts a half line off later if that fails as well', async () => {
    const { state, system } = frail()
    const { path, write, clock, verify, file } = open({}, system)
    write('a')
    await turn()
    state.room = 100
    state.cut = 'EIO'
    write('b')
    await turn()
    expect(readFileSync(path, 'latin1')).not.toMatch(/\n$/)
    state.room = Infinity
    clock.advance(1_000)
    expect(file.health.failing).toBe(true)
    state.cut = undefined
    clock.advance(1_000)
    await file.close()
    expect(kinds(path)).toEqual(['(start)', 'a', 'b', '(time)', '(close)'])
    expect(await verify()).toMatchObject({ ok: true })
  })

  test('takes what waits in pieces, as far as there is room', async () => {
    const { state, system } = frail()
    const { file, path, write, clock, verify } = open({ maxPending: 10_000 }, system)
    await turn()
    state.sick = 'ENOSPC'
    for (let i = 0; i < 2_000; i++) write(`${i} ${'x'.repeat(200)}`)
    await turn()
    state.sick = undefined
    state.room = 500_000
    clock.advance(1_000)
    expect(file.health).toMatchObject({ failing: true, dropped: 0 })
    expect(file.health.written).toBeGreaterThan(500)
    expect(file.health.written).toBeLessThan(2_000)
    expect(linesOf(path).filter(({ kind }) => kind === 'test').length).toBe(file.health.written)

    state.room = Infinity
    clock.advance(1_000)
    await file.close()
    expect(file.health).toMatchObject({ failing: false, written: 2_000, dropped: 0 })
    expect(
      linesOf(path)
        .filter(({ kind }) => kind === 'test')
        .map(({ name }) => Number.parseInt(String(name))),
    ).toEqual(Array.from({ length: 2_000 }, (_, i) => i))
    expect(await verify()).toMatchObject({ ok: true, tail: 'proven' })
  })

  test('goes on after short writes', async () => {
    const { path, write, file, verify } = open(
      {},
      {
        ...fs,
        writeSync: ((fd: number, text: string) =>
          fs.writeSync(fd, text.slice(0, 7), null, 'latin1')) as FileSystem['writeSync'],
      },
    )
    write('a', 'b')
    await file.close()
    expect(kinds(path)).toEqual(['(start)', 'a', 'b', '(close)'])
    expect(await verify()).toMatchObject({ ok: true })
  })

  test('is not hammered: one attempt a second, however many events come', async () => {
    let attempts = 0
    const { write, clock } = open(
      {},
      {
        ...fs,
        writeSync: () => {
          attempts++
          throw new Error('no')
        },
      },
    )
    for (let i = 0; i < 20; i++) {
      write('a')
      await turn()
    }
    expect(attempts).toBe(1)
    clock.advance(3_000)
    expect(attempts).toBe(4)
  })

  test('at the end of the process counts what could not be written', async () => {
    const { state, system } = frail()
    const { file, write } = open({}, system)
    state.sick = 'ENOSPC'
    write('a', 'b')
    await file.close()
    expect(file.health).toMatchObject({ written: 0, dropped: 2 })
  })
})

test.each([
  ['a directory that does not exist', () => files.path('nowhere/audit.jsonl')],
  ['a directory', () => files.path('.')],
  ['a device', () => '/dev/full'],
  [
    'a link',
    () => {
      symlinkSync(files.write('target', ''), files.path('link'))
      return files.path('link')
    },
  ],
])('refuses %s', (_what, path) => {
  expect(() => open({ path: path() })).toThrow()
  expect(existsSync('/dev/full.lock')).toBe(false)
})
