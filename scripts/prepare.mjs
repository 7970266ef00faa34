import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** Runs a command with its output on ours; ends this process if it fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options })
  if (error) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

/** Installs the packages of the lockfile unless exactly they are there. */
export function installPackages() {
  if (sameLock('package-lock.json', 'node_modules/.package-lock.json')) return
  run('npm', ['ci', '--no-audit', '--no-fund'])
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
