import { hash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { audit, verifyAudit } from 'secure-api'
import {
  body,
  clients,
  end,
  isUnbroken,
  key,
  numbersIn,
  publicKey,
  scratch,
  startAudited,
  stats,
} from './support/audited-process.mjs'
import { until, upTo, workedMs } from './support/measure.mjs'

const MILLION = 1_000_000
/** Nobody. */
const OTHER_UID = 65_534

const ENDINGS = {
  'kill -9': ({ child }) => child.kill('SIGKILL'),
  SIGTERM: ({ child }) => child.kill('SIGTERM'),
  'process.exit()': ({ port }) => body(port, '/exit').catch(() => undefined),
  'an uncaught exception': ({ port }) => body(port, '/throw').catch(() => undefined),
}
/** A process that may still do something writes what waits. */
const HAS_AN_END = ['process.exit()', 'an uncaught exception']

const endings = ['turn', 'before-reply'].flatMap((durability) =>
  Object.keys(ENDINGS).map((how) => ({
    name: `${how} under load, durability '${durability}'`,
    promise:
      durability === 'turn' && !HAS_AN_END.includes(how)
        ? '3 runs: on record is all but what one turn may hold; it verifies, and a new process goes on'
        : '3 runs: on record is all that any client has seen; it verifies, and a new process goes on',
    run: () => ending(how, durability),
  })),
)

export const rows = [
  ...endings,
  {
    name: 'the disk is full, and has room again',
    promise: 'said once, requests go on, what waits is written in order, nothing is missing without a word',
    run: fullDisk,
  },
  {
    name: 'no permission (a process of another user), and it is given back',
    promise: 'said once, requests go on, every event is on record once, in order',
    run: noPermission,
  },
  {
    name: 'the directory is removed, and comes back',
    promise: 'said once, requests go on, every later event is on record once, in order',
    run: noDirectory,
  },
  {
    name: 'the file is rotated 50 times while it is written',
    promise: 'every event is on record once, in order; the files verify as one trail',
    run: rotation,
  },
  {
    name: 'stdout is a full device (/dev/full)',
    promise: 'said once, counted, the process lives on',
    run: () => stdoutFails((server) => server, openSync('/dev/full', 'w')),
  },
  {
    name: 'the reader of stdout goes away (EPIPE)',
    promise: 'said once, counted, the process lives on',
    run: () => stdoutFails((server) => server.child.stdout.destroy(), 'pipe'),
  },
  {
    name: 'somebody changes, removes, inserts, swaps, forges, cuts or replaces lines',
    promise: 'verifyAudit names what was done, and the line',
    run: tampering,
  },
  {
    name: '1,000,000 lines that nobody touched',
    promise: 'no false alarm, at least 100,000 lines in a second of work, less than 64 MB more',
    run: millionLines,
  },
]

async function ending(how, durability) {
  const measured = []
  let ok = true
  for (let run = 0; run < 3; run++) {
    const path = join(scratch(), 'audit.jsonl')
    const server = await startAudited({ path, durability })
    const load = clients(server.port)
    await until(() => load.seen.length > 500 + run * 371)
    await ENDINGS[how](server)
    await server.gone
    await load.stop()

    const numbers = numbersIn(path)
    const onRecord = new Set(numbers)
    const missing = load.seen.filter((n) => n > 0 && !onRecord.has(n)).length
    const allowed = durability === 'turn' && !HAS_AN_END.includes(how) ? 16 : 0
    const { problems } = await verifyAudit(path, { publicKey, head: server.head })
    await goOn(path)
    const after = await verifyAudit(path, { publicKey, head: server.head })
    const isSound = problems.every(({ kind }) => kind === 'torn') && after.ok && after.tail === 'proven'
    ok &&= missing <= allowed && isUnbroken(numbers) && isSound
    measured.push(`${missing} of ${load.seen.length} missing${isSound ? '' : ', does NOT verify'}`)
  }
  return { ok, measured: measured.join('; ') }
}

/** What the next process does. */
async function goOn(path) {
  const next = audit({ file: { path, key } })
  await next.stage.ready?.({
    clock: { now: Date.now, monotonic: () => performance.now(), after: () => () => {} },
    log: console,
  })
  await next.stage.close()
}

async function fullDisk() {
  const dir = scratch()
  const path = join(dir, 'audit.jsonl')
  const server = await startAudited({ path, disk: { dir, kilobytes: 16_384 } })
  const ballast = server.inside(join(dir, 'ballast'))
  writeFileSync(ballast, Buffer.alloc(16_128 * 1024))
  const load = clients(server.port)
  const isFull = await until(async () => (await stats(server)).failing)
  await pause(500)
  rmSync(ballast)
  const isWell = await until(async () => !(await stats(server)).failing)
  await load.stop()
  await pause(100)
  const { n, written, dropped, said } = await stats(server)
  const copy = join(scratch(), 'copy.jsonl')
  copyFileSync(server.inside(path), copy)
  await end(server)

  const numbers = numbersIn(copy)
  const isOrdered = numbers.every((one, i) => i === 0 || one > numbers[i - 1])
  const gaps = [...readFileSync(copy, 'latin1').matchAll(/"kind":"audit-gap".*?"lost":(\d+)/g)]
  const told = gaps.reduce((sum, [, lost]) => sum + Number(lost), 0)
  const { ok, tail } = await verifyAudit(copy, { publicKey, head: server.head })
  const outages = said.filter((text) => text.includes('takes no events')).length
  return {
    ok: isFull && isWell && isOrdered && ok && tail === 'proven' && told === dropped && outages === 1,
    measured:
      `${n} requests answered, ${written} events written, ${dropped} dropped and ${told} told of, ` +
      `outage said ${outages} x, ${ok ? 'verifies' : 'does NOT verify'}`,
  }
}

async function noPermission() {
  if (process.getuid() !== 0) return { ok: false, measured: 'needs root, to start a process of another user' }
  const dir = scratch()
  chownSync(dir, OTHER_UID, OTHER_UID)
  return outage(dir, { uid: OTHER_UID, gid: OTHER_UID }, (path) => {
    chmodSync(dir, 0o555)
    renameSync(path, `${path}.1`)
    return () => chmodSync(dir, 0o777)
  })
}

async function noDirectory() {
  const dir = join(scratch(), 'logs')
  mkdirSync(dir)
  return outage(dir, {}, (path) => {
    copyFileSync(path, join(dir, '../kept.jsonl'))
    rmSync(dir, { recursive: true })
    return () => {
      mkdirSync(dir)
      copyFileSync(join(dir, '../kept.jsonl'), `${path}.1`)
    }
  })
}

/** A hundred events before, a hundred during and a hundred after something that makes writing impossible. */
async function outage(dir, options, breakIt) {
  const path = join(dir, 'audit.jsonl')
  const server = await startAudited({ path, ...options })
  const ask = async (count) => {
    for (let i = 0; i < count; i++) await body(server.port, '/')
    await pause(20)
  }
  await ask(100)
  const mend = breakIt(path)
  await ask(100)
  const { failing, dropped } = await stats(server)
  mend()
  const isWell = await until(async () => !(await stats(server)).failing)
  await ask(100)
  const { said } = await stats(server)
  await end(server)

  const numbers = numbersIn(`${path}.1`, path)
  const { ok, problems } = await verifyAudit([`${path}.1`, path], { publicKey, head: server.head })
  const outages = said.filter((text) => text.includes('takes no events')).length
  return {
    ok:
      failing &&
      isWell &&
      ok &&
      outages === 1 &&
      dropped === 0 &&
      numbers.length === 300 &&
      isUnbroken(numbers),
    measured:
      `${numbers.length} of 300 events on record, outage said ${outages} x, ` +
      (ok ? 'verifies' : `does NOT verify (${problems[0].kind})`),
  }
}

async function rotation() {
  const path = join(scratch(), 'audit.jsonl')
  const server = await startAudited({ path })
  const load = clients(server.port)
  const old = []
  for (let i = 0; i < 50; i++) {
    const before = load.seen.length
    await until(() => load.seen.length > before + 20 && existsSync(path))
    old.push(`${path}.${i}`)
    renameSync(path, old.at(-1))
  }
  await load.stop()
  await body(server.port, '/exit').catch(() => undefined)
  await server.gone

  const numbers = numbersIn(...old, path)
  const { ok, tail, lines } = await verifyAudit([...old, path], { publicKey, head: server.head })
  return {
    ok: ok && tail === 'proven' && isUnbroken(numbers) && numbers.length >= load.seen.length,
    measured: `${numbers.length} events, ${lines} lines in 51 files, ${ok ? 'verifies' : 'does NOT verify'}`,
  }
}

async function stdoutFails(breakIt, stdout) {
  const server = await startAudited({ stdout })
  breakIt(server)
  for (let i = 0; i < 2_000; i++) await body(server.port, '/')
  const { n, dropped, failing, said } = await stats(server)
  await end(server)
  const outages = said.filter((text) => text.includes('takes no events')).length
  return {
    ok: n === 2_000 && failing && dropped >= 2_000 && outages === 1,
    measured: `${n} requests answered, ${dropped} events counted as lost, outage said ${outages} x`,
  }
}

async function tampering() {
  const path = join(scratch(), 'audit.jsonl')
  const head = await writeTrail(path, 10_000)
  const lines = readFileSync(path, 'latin1').split('\n')
  const another = join(scratch(), 'another.jsonl')
  await writeTrail(another, 10_000)
  const last = lines.length - 2
  const at = 5_000
  const attempts = [
    ['changed 5001', (all) => (all[at] = all[at].replace('"method":"GET"', '"method":"PUT"'))],
    ['removed 5001', (all) => all.splice(at, 3)],
    ['inserted 5001', (all) => all.splice(at, 0, lines[20])],
    ['swapped 5001, swapped 5008', (all) => ([all[at], all[at + 7]] = [all[at + 7], all[at]])],
    [`changed ${last + 1}, bad-signature ${last + 1}`, (all) => (all[last] = forged(all[last]))],
    ['torn 5001, truncated 5001', (all) => all.splice(at, all.length - at, all[at].slice(0, 100))],
    ['truncated 5000', (all) => all.splice(at, all.length - at - 1)],
    ['replayed 1', (all) => all.splice(0, all.length, ...readFileSync(another, 'latin1').split('\n'))],
  ]
  const wrong = []
  for (const [expected, change] of attempts) {
    const copy = [...lines]
    change(copy)
    writeFileSync(path, copy.join('\n'), 'latin1')
    const { problems } = await verifyAudit(path, { publicKey, head })
    const found = problems.map(({ kind, line }) => `${kind} ${line}`).join(', ')
    if (found !== expected) wrong.push(`${expected}: ${found || 'nothing found'}`)
  }
  const named = attempts.map(([expected]) => expected).join('; ')
  return {
    ok: wrong.length === 0,
    measured: wrong.length === 0 ? `${lines.length - 1} lines: ${named}` : wrong.join('; '),
  }
}

/** A checkpoint with another signature, and a hash that fits. */
function forged(line) {
  const content = line.slice(0, line.indexOf(',"hash"')).replace(/"signature":".{4}/, '"signature":"AAAA')
  return `${content},"hash":"${hash('sha256', `secure-api audit line 1\n${content}`, 'base64url')}"}`
}

async function millionLines() {
  const path = join(scratch(), 'audit.jsonl')
  const head = await writeTrail(path, MILLION)
  return upTo(3, async () => {
    globalThis.gc()
    const before = process.memoryUsage().rss
    const started = workedMs()
    const { ok, lines, tail } = await verifyAudit(path, { publicKey, head })
    const rate = lines / ((workedMs() - started) / 1000)
    const more = (process.memoryUsage().rss - before) / 1e6
    return {
      ok: ok && tail === 'proven' && lines > MILLION && rate >= 100_000 && more < 64,
      measured: `${lines} lines, ${ok ? 'no alarm' : 'FALSE ALARM'}, ${Math.round(rate)} lines/s, ${more.toFixed(0)} MB more`,
    }
  })
}

/** A trail as one request leaves it that records so many events. */
async function writeTrail(path, events) {
  let head
  const stage = audit({ file: { path, key, onCheckpoint: (newest) => (head = newest) } })
  const req = Object.assign(
    new IncomingMessage(Object.assign(new EventEmitter(), { remoteAddress: '192.0.2.1' })),
    {
      method: 'GET',
      url: '/orders/1',
    },
  )
  await new Promise((done) => stage(req, new ServerResponse(req), done))
  for (let n = 1; n <= events; n++) req.security.record('test', { n })
  await stage.stage.close()
  return head
}
