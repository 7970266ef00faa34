// The parts whose cost is promised on their own: bundled with what they are made of, then run in a process of their own.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const OUT = '.cache/bench'

const PROGRAMS = ['parts', 'callers', 'bystanders']

/** Rows `{ part, key, samples }`, with a sample for each turn, or one where nothing else can come out. */
export function micro(turns) {
  return PROGRAMS.flatMap((program) => rowsOf(program, turns))
}

function rowsOf(name, turns) {
  const bundle = [`bench/${name}.mjs`, '--no-config', '--no-dts', '--out-dir', OUT, '--log-level', 'error']
  execFileSync('node_modules/.bin/tsdown', bundle, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
  const program = ['--expose-gc', `${OUT}/${name}.mjs`, String(turns)]
  return JSON.parse(
    execFileSync(process.execPath, program, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] }),
  )
}
