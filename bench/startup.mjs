// What it costs until an API with 50 schemas listens, beside a process that only imports express, helmet and ajv. In CPU time, which on
// an idle machine is the time that passes, and which a busy one disturbs less; processes take turns.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PARTS = `import express from 'express'; import 'helmet'; import 'ajv/dist/2020.js';`

/** What each process does before it says what it took. */
const PROGRAMS = {
  parts: PARTS,
  imported: `${PARTS} import './dist/index.js';`,
  listens: `${PARTS} import { start } from './bench/startup-api.mjs'; await start(express);`,
  ready: `${PARTS} import { start } from './bench/startup-api.mjs'; await (await start(express)).ready();`,
}

/** CPU time in milliseconds, by program and turn. */
export function startup(turns) {
  const taken = Object.fromEntries(Object.keys(PROGRAMS).map((name) => [name, []]))
  for (let turn = -1; turn < turns; turn++) {
    for (const [name, program] of Object.entries(PROGRAMS)) {
      const ms = measure(program)
      // The first turn fills the disk cache.
      if (turn >= 0) taken[name].push(ms)
    }
  }
  return taken
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
