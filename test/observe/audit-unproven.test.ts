import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { contentAfter, hashOf, lineOf, parseLine } from '../../src/observe/audit-chain.js'
import type { AuditHead } from '../../src/observe/audit-chain.js'
import { signer } from '../../src/observe/audit-checkpoint.js'
import { AuditFile } from '../../src/observe/audit-file.js'
import { verifyAudit } from '../../src/observe/verify-audit.js'
import { fakeClock } from '../../src/testing/index.js'
import { keyPair, numbered, scratch, trail } from './support/trail.js'

const files = scratch()
const { key, publicKey } = keyPair()

/** Runs a process that writes `events` and, with `crash`, is killed: what it held in memory is lost, and its lock stays. */
async function run(events: readonly string[], crash: boolean) {
  const path = files.path('audit.jsonl')
  const heads: AuditHead[] = []
  const file = new AuditFile({
    path,
    signer: signer(key),
    checkpointEvery: 100,
    checkpointMs: 10_000,
    mode: 0o600,
    maxPending: 100,
    onCheckpoint: (head) => heads.push(head),
  })
  file.attach({ clock: fakeClock(), log: { info: () => {}, warn: () => {}, error: () => {} } })
  for (const path of events) file.write({ kind: 'request', path }, true)
  await new Promise((turn) => setImmediate(turn))
  const text = readFileSync(path, 'latin1')
  await file.close()
  if (crash) writeFileSync(path, text)
  return { path, head: crash ? heads[0]! : heads.at(-1)! }
}

/** The file as somebody leaves it who has no key, but makes all hashes fit. */
function rewrite(path: string, change: (lines: string[]) => string[]): void {
  const lines = change(readFileSync(path, 'latin1').trimEnd().split('\n'))
  let link = { seq: 0, hash: '' }
  const forged = lines.map((line) => {
    const { content } = parseLine(line)!
    const relinked = contentAfter(link, content.replace(/^\{"seq":\d+,"prev":"[^"]*",/, ''))
    link = { seq: link.seq + 1, hash: hashOf(relinked) }
    return `${lineOf(relinked, link.hash)}\n`
  })
  writeFileSync(path, forged.join(''))
}

describe('lines that stood behind the last checkpoint when the process was killed', () => {
  test.each<[string, (lines: string[]) => string[], { from: number; to: number }]>([
    ['were left alone', (lines) => lines, { from: 2, to: 4 }],
    ['were forged', (lines) => lines.map((line) => line.replace('mallory', 'charity')), { from: 2, to: 4 }],
    ['got company', (lines) => [...lines, lines[1]!, lines[2]!], { from: 2, to: 6 }],
    ['were taken away, but one', (lines) => lines.slice(0, 2), { from: 2, to: 2 }],
    ['were all taken away', (lines) => lines.slice(0, 1), { from: 2, to: 1 }],
  ])('are unproven, though the next process signs behind them: they %s', async (_what, change, range) => {
    const { path } = await run(['/to/mallory/1', '/to/mallory/2', '/to/mallory/3'], true)
    rewrite(path, change)
    const { head } = await run(['/later'], false)

    expect(await verifyAudit(path, { publicKey, head })).toMatchObject({
      problems: [],
      tail: 'proven',
      unproven: [{ ...range, why: 'crash' }],
    })
    expect(await verifyAudit(path)).toMatchObject({ unproven: [{ ...range, why: 'crash' }] })
  })

  test('are named after each crash, and none are where a process ended in order', async () => {
    await run(['/1', '/2'], true)
    await run(['/3'], false)
    await run(['/4'], false)
    await run([], true)
    const { path, head } = await run([], false)

    expect(await verifyAudit(path, { publicKey, head })).toMatchObject({
      ok: true,
      unproven: [
        { from: 2, to: 3, why: 'crash' },
        { from: 11, to: 10, why: 'crash' },
      ],
    })
  })

  test('are not proven by a checkpoint that the key did not sign', async () => {
    const { path } = await run(['/to/mallory'], true)
    rewrite(path, (lines) => [
      ...lines.map((line) => line.replace('mallory', 'charity')),
      lines[0]!.replace('"why":"start"', '"why":"close"'),
    ])
    const { head } = await run([], false)

    expect(await verifyAudit(path, { publicKey, head })).toMatchObject({
      problems: [{ kind: 'bad-signature', line: 3 }],
      unproven: [{ from: 2, to: 3, why: 'crash' }],
    })
  })

  test('are not those of a file that was rotated before', async () => {
    const before = trail(numbered(3), { key, open: true })
    const link = { seq: before.head.count, hash: before.head.hash }
    writeFileSync(files.path('audit.jsonl'), trail([], { key, open: true, why: 'rotation', link }).lines[0]!)
    await run(['/1'], true)
    const { path, head } = await run([], false)

    const unproven = [
      { from: 6, to: 5, why: 'crash' },
      { from: 7, to: 7, why: 'crash' },
    ]
    const first = files.write('audit.jsonl.1', before.lines.join(''))
    expect(await verifyAudit([first, path], { publicKey, head })).toMatchObject({ ok: true, unproven })
    rmSync(first)
    expect(await verifyAudit(path, { publicKey, head })).toMatchObject({
      ok: true,
      unproven: [{ from: 1, to: 4, why: 'earlier-file' }, ...unproven],
    })
  })
})

test('so many crashes that they are not listed one by one are covered by the last range', async () => {
  let link = { seq: 0, hash: '' }
  const lines: string[] = []
  for (let i = 0; i < 1_200; i++) {
    const run = trail(numbered(1), { link, open: true })
    link = { seq: run.head.count, hash: run.head.hash }
    lines.push(...run.lines)
  }
  const { unproven } = await verifyAudit(files.write('many', lines.join('')))
  expect(unproven).toHaveLength(1_000)
  expect(unproven.at(-1)).toEqual({ from: 2_000, to: 2_398, why: 'crash' })
})
