import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isBuilt } from '../../scripts/prepare.mjs'
import { ROOT } from '../support/source-tree.js'

/** What a user's project may have beside this package, of the versions that the rest of the tests run with. */
const BESIDE = ['express', 'supertest']
/** Tools are linked: they are large, and not what is tested here. */
const TOOLS = ['jest', '@types/express', '@types/node', '@types/supertest']

/** The packed package as users get it. */
export interface Installed {
  readonly tarball: string
  /** A project with nothing but the package and what it depends on. */
  readonly bare: string
  /** A project that also has the optional peers, and tools. */
  readonly full: string
  remove(): void
}

function lend(project: string, name: string): void {
  const link = join(project, 'node_modules', name)
  mkdirSync(dirname(link), { recursive: true })
  rmSync(link, { recursive: true, force: true })
  symlinkSync(join(ROOT, 'node_modules', name), link)
}

/** Packs the build and installs the tarball in two empty projects, as users do. */
export function installPacked(): Installed {
  if (!isBuilt()) throw new Error('dist is missing or older than its sources. Run: npm run build')
  const base = mkdtempSync(join(tmpdir(), 'secure-api-packed-'))
  const tarball = pack(base)
  const project = (name: string, ...beside: string[]): string => {
    const folder = join(base, name)
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), '{ "name": "a-users-project", "private": true }\n')
    npm(folder, 'install', '--prefer-offline', '--no-audit', '--no-fund', tarball, ...beside)
    cpSync(join(__dirname, 'consumers'), join(folder, 'consumers'), { recursive: true })
    return folder
  }

  const bare = project('bare')
  const full = project('full', ...BESIDE.map((name) => `${name}@${versionOf(name)}`))
  for (const name of TOOLS) lend(full, name)
  // Without the types of Node, nothing compiles.
  lend(bare, '@types/node')
  return { tarball, bare, full, remove: () => rmSync(base, { recursive: true, force: true }) }
}

/** Packs what is built in `checkout` into `folder`. */
export function pack(folder: string, checkout = ROOT): string {
  const output = npm(checkout, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder)
  const [packed] = JSON.parse(output) as { filename: string }[]
  return join(folder, packed!.filename)
}

function npm(cwd: string, ...args: string[]): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function versionOf(name: string): string {
  const manifest = readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
