import fc from 'fast-check'
import * as fs from 'node:fs'
import type { AuditHead } from '../../src/observe/audit-chain.js'
import { signer } from '../../src/observe/audit-checkpoint.js'
import { AuditFile } from '../../src/observe/audit-file.js'
import type { FileSystem } from '../../src/observe/audit-files.js'
import { verifyAudit } from '../../src/observe/verify-audit.js'
import { fakeClock } from '../../src/testing/index.js'
import { keyPair, scratch } from './support/trail.js'

jest.setTimeout(60_000)

const files = scratch()
const { key, publicKey } = keyPair()
const turn = (): Promise<void> => new Promise((done) => setImmediate(done))

type Step =
  | { do: 'write'; count: number; now: boolean; keeps: boolean }
  | { do: 'turn' | 'rotate' | 'restart' | 'heal' | 'jam' }
  | { do: 'full'; room: number }
  | { do: 'wait'; ms: number }

const just = <T extends string>(name: T): fc.Arbitrary<T> => fc.constant(name)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: just('write'),
      count: fc.integer({ min: 1, max: 8 }),
      now: fc.boolean(),
      keeps: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: just('turn') }) },
  { weight: 2, arbitrary: fc.record({ do: just('wait'), ms: fc.integer({ min: 1, max: 12_000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('rotate', 'restart', 'heal', 'jam') }) },
  { weight: 1, arbitrary: fc.record({ do: just('full'), room: fc.nat({ max: 2_000 }) }) },
)

/** A disk with so much room, on which shortening a file may fail as well. */
function disk() {
  const state = { room: Infinity, jammed: false }
  const full = (): Error => Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  const system: FileSystem = {
    ...fs,
    writeSync: ((fd: number, text: string) => {
      const part = text.slice(0, Math.min(text.length, state.room))
      if (part === '') throw full()
      state.room -= part.length
      return fs.writeSync(fd, part, null, 'latin1')
    }) as FileSystem['writeSync'],
    ftruncateSync(fd, length) {
      if (state.jammed) throw full()
      fs.ftruncateSync(fd, length)
    },
  }
  const heal = (): void => {
    state.room = Infinity
    state.jammed = false
  }
  return { state, system, heal }
}

let run = 0

test('whatever happens, each event is written once and in order, or counted; and the trail verifies', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 6 }),
      async (steps, checkpointEvery) => {
        const path = files.path(`trail-${++run}`)
        const rotated: string[] = []
        const heads: AuditHead[] = []
        const clock = fakeClock()
        const { state, system, heal } = disk()
        const settings = {
          path,
          signer: signer(key),
          checkpointEvery,
          checkpointMs: 5_000,
          mode: 0o600,
          maxPending: 20,
          onCheckpoint: (head: AuditHead) => heads.push(head),
        }
        const open = (): AuditFile => {
          const file = new AuditFile(settings, system)
          file.attach({ clock, log: { info: () => {}, warn: () => {}, error: () => {} } })
          return file
        }
        let file = open()
        const counts = { sent: 0, dropped: 0, written: 0 }
        const end = async (): Promise<void> => {
          await file.close()
          counts.dropped += file.health.dropped
          counts.written += file.health.written
        }

        for (const one of steps) {
          if (one.do === 'write') {
            for (let i = 0; i < one.count; i++)
              file.write({ kind: 'test', n: ++counts.sent }, one.now, one.keeps)
          }
          if (one.do === 'turn') await turn()
          if (one.do === 'wait') clock.advance(one.ms)
          if (one.do === 'heal') heal()
          if (one.do === 'jam') state.jammed = true
          if (one.do === 'full') state.room = one.room
          if (one.do === 'restart') {
            await end()
            file = open()
          }
          // While a torn line cannot be cut off it would go with the file; verification names that, rightly.
          if (one.do === 'rotate' && !state.jammed && fs.existsSync(path)) {
            rotated.push(`${path}.${rotated.length}`)
            fs.renameSync(path, rotated.at(-1)!)
          }
        }
        heal()
        await turn()
        clock.advance(1_000)
        await end()

        const all = [...rotated, path].filter((one) => fs.existsSync(one))
        const texts = all.map((one) => fs.readFileSync(one, 'latin1'))
        const numbers = texts.flatMap((text) =>
          [...text.matchAll(/"kind":"test","n":(\d+),/g)].map(([, n]) => Number(n)),
        )
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
        expect(new Set(numbers).size).toBe(numbers.length)
        expect(numbers.length).toBe(counts.written)
        expect(numbers.length + counts.dropped).toBe(counts.sent)

        // A restart while the file is away begins a new trail.
        const trails: string[][] = []
        for (const [i, one] of all.entries()) {
          if (texts[i]!.startsWith('{"seq":1,') || trails.length === 0) trails.push([])
          trails.at(-1)!.push(one)
        }
        for (const trail of trails) {
          const { lines, problems } = await verifyAudit(trail, { publicKey })
          if (lines > 0) expect(problems).toEqual([])
        }
        const { tail } = await verifyAudit(trails.at(-1)!, { publicKey, head: heads.at(-1)! })
        expect(tail).toBe('proven')
      },
    ),
    {
      numRuns: 200,
      examples: [
        // A disk that stops behind a whole line and cannot be shortened either, and the end right after.
        [
          [
            { do: 'jam' },
            { do: 'write', count: 1, now: false, keeps: true },
            { do: 'full', room: 488 },
            { do: 'restart' },
            { do: 'turn' },
          ],
          1,
        ],
      ],
    },
  )
})
