// `node bench/startup.mjs`: what it costs until an API with 50 schemas listens, beside a process that only imports express, helmet and
// ajv. In CPU time, which on an idle machine is the time that passes, and which a busy one disturbs less; processes take turns.
import { spawnSync } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PARTS = `import 'express'; import 'helmet'; import 'ajv/dist/2020.js';`

/** What each process does before it says what it took. */
const PROGRAMS = {
  'express, helmet and ajv': PARTS,
  "and import 'secure-api'": `${PARTS} import './dist/index.js';`,
  'and an API with 50 schemas': `${PARTS} import { start } from './bench/startup-api.mjs'; await start();`,
}
const [BASE, , API] = Object.keys(PROGRAMS)

/** More than importing its parts, in milliseconds. */
export const TARGET_MS = 150

/**
 * @typedef {{ p25: number, median: number, p75: number }} Quartiles
 * @param {number} turns
 * @returns {{ rows: Record<string, { ms: Quartiles, addedMs: Quartiles }>, passed: boolean }} what each program took, and what it took
 *   more than the first one in the same turn
 */
export function startup(turns = 15) {
  const taken = Object.fromEntries(Object.keys(PROGRAMS).map((name) => [name, []]))
  for (let turn = -1; turn < turns; turn++) {
    for (const [name, program] of Object.entries(PROGRAMS)) {
      const ms = measure(program)
      // The first turn fills the disk cache.
      if (turn >= 0) taken[name].push(ms)
    }
  }
  const rows = Object.fromEntries(
    Object.entries(taken).map(([name, all]) => [
      name,
      { ms: quartiles(all), addedMs: quartiles(all.map((ms, turn) => ms - taken[BASE][turn])) },
    ]),
  )
  return { rows, passed: rows[API].addedMs.median <= TARGET_MS }
}

function measure(program) {
  const script = `${program}
    const { user, system } = process.cpuUsage()
    process.stdout.write(String((user + system) / 1000), () => process.exit())`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 60_000,
  })
  if (status !== 0) throw new Error(stderr)
  return Number(stdout)
}

function quartiles(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))]
  return { p25: at(0.25), median: at(0.5), p75: at(0.75) }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const turns = Number(process.env.BENCH_TURNS ?? 15)
  const { rows, passed } = startup(turns)
  console.log(
    `CPU time to start, in ms (median; p25-p75; more than the first in the same turn; n = ${turns})`,
  )
  const text = ({ median, p25, p75 }) => `${median.toFixed(0)} (${p25.toFixed(0)}-${p75.toFixed(0)})`
  for (const [name, { ms, addedMs }] of Object.entries(rows))
    console.log(`  ${name.padEnd(28)} ${text(ms).padEnd(16)} +${text(addedMs)}`)
  console.log(`target: at most +${TARGET_MS}: ${passed ? 'passed' : 'missed'}`)
}
