import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isBuilt } from '../../scripts/prepare.mjs'
import { ROOT } from '../support/source-tree.js'

/** What a user's project has beside this package: the optional peers, and tools. */
const BESIDE = ['express', 'supertest', 'jest', '@types/express', '@types/node', '@types/supertest']

/** The packed package as users get it. */
export interface Installed {
  readonly tarball: string
  /** A project with nothing but the package and what it depends on. */
  readonly bare: string
  /** A project that also has the optional peers, and tools. */
  readonly full: string
  remove(): void
}

/**
 * Packs the build and installs it twice. Its dependencies come from the lockfile, so that they are those the rest of the
 * tests ran with, and only they: what the package needs and does not declare is missing here.
 */
export function installPacked(): Installed {
  if (!isBuilt()) throw new Error('dist is missing or older than its sources. Run: npm run build')
  const base = mkdtempSync(join(tmpdir(), 'secure-api-packed-'))
  const npm = (cwd: string, ...args: string[]): string =>
    execFileSync('npm', [...args, '--ignore-scripts'], {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })

  const [packed] = JSON.parse(npm(ROOT, 'pack', '--json', '--pack-destination', base)) as {
    filename: string
  }[]
  const tarball = join(base, packed!.filename)

  const bare = join(base, 'bare')
  mkdirSync(bare)
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(ROOT, file), join(bare, file))
  npm(bare, 'ci', '--omit=dev', '--omit=peer', '--prefer-offline', '--no-audit', '--no-fund')
  const home = join(bare, 'node_modules', 'secure-api')
  mkdirSync(home)
  execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', home])

  const full = join(base, 'full')
  mkdirSync(full)
  cpSync(join(bare, 'node_modules'), join(full, 'node_modules'), { recursive: true, verbatimSymlinks: true })
  for (const name of BESIDE) {
    const link = join(full, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    rmSync(link, { recursive: true, force: true })
    symlinkSync(join(ROOT, 'node_modules', name), link)
  }
  for (const project of [bare, full]) {
    writeFileSync(join(project, 'package.json'), '{ "name": "a-users-project", "private": true }\n')
    cpSync(join(__dirname, 'consumers'), join(project, 'consumers'), { recursive: true })
  }
  return { tarball, bare, full, remove: () => rmSync(base, { recursive: true, force: true }) }
}
