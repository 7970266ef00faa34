import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'

/** Runs a command with its output on ours; ends this process if it fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options })
  if (error) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

/** Runs commands side by side; ends this process if one of them fails, after all have said what they had to say. */
export async function runTogether(...commands) {
  const statuses = await Promise.all(
    commands.map(async ([command, args]) => {
      const [status] = await once(spawn(command, args, { stdio: 'inherit' }), 'exit')
      return status ?? 1
    }),
  )
  const failed = statuses.find((status) => status !== 0)
  if (failed !== undefined) process.exit(failed)
}

/** Installs the packages of the lockfile unless exactly they are there. */
export function installPackages() {
  if (sameLock('package-lock.json', 'node_modules/.package-lock.json')) return
  // A link leads to another checkout's packages, and `npm ci` would empty them.
  if (lstatSync('node_modules', { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync('node_modules')
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
}

function sameLock(wanted, present) {
  if (!existsSync(present)) return false
  const packages = (file) => JSON.parse(readFileSync(file, 'utf8')).packages
  const expected = packages(wanted)
  delete expected['']
  const installed = packages(present)
  return Object.entries(expected).every(([path, { version, optional, integrity }]) =>
    installed[path]?.version === version
      ? installed[path].integrity === integrity
      : optional && !(path in installed),
  )
}

/** Makes sure that Debian packages are there; installs them as root, or names the line that would. */
export function installDebian(programs) {
  const missing = Object.entries(programs).filter(([program]) => !has(program))
  if (missing.length === 0) return
  const packages = missing.map(([, name]) => name)
  const line = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`
  if (process.getuid?.() !== 0) {
    console.error(`The tests need ${packages.join(', ')}. Run as root: ${line}`)
    process.exit(1)
  }
  run('sh', ['-c', line], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
}

function has(program) {
  return spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0
}

/** Builds `dist`, unless it is newer than whatever it is made of. */
export function buildIfStale() {
  if (isBuilt()) return
  run('npm', ['run', '--silent', 'build', '--', '--log-level', 'error'])
}

/** Whether every file that `package.json` exports exists and is newer than its sources. */
export function isBuilt() {
  const { exports, bin } = JSON.parse(readFileSync('package.json', 'utf8'))
  const built = Object.values(exports)
    .flatMap(({ import: esm, require: cjs }) => (esm ? [...Object.values(esm), ...Object.values(cjs)] : []))
    .concat(Object.values(bin))
  if (!built.every((file) => existsSync(file))) return false
  const sources = readdirSync('src', { recursive: true })
    .map((file) => join('src', String(file)))
    .concat(
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'tsdown.config.ts',
      'scripts/bundled-licenses.mjs',
    )
  const changedAt = (file) => statSync(file).mtimeMs
  return Math.min(...built.map(changedAt)) >= Math.max(...sources.map(changedAt))
}

/** The examples import `secure-api` as their copies elsewhere do; in this checkout that leads to its own build. */
export function linkPackage() {
  const link = 'examples/node_modules/secure-api'
  mkdirSync('examples/node_modules', { recursive: true })
  rmSync(link, { force: true, recursive: true })
  symlinkSync('../..', link, 'dir')
}
