// `npm run --silent sbom > sbom.cdx.json`: what the package is made of, as CycloneDX. `npm sbom --omit dev` of this checkout would
// leave out every package that a tool needs as well, jose among them; so it is asked about a project without tools.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
for (const field of ['devDependencies', 'peerDependencies', 'scripts']) delete manifest[field]

const base = mkdtempSync(join(tmpdir(), 'secure-api-sbom-'))
// npm names the root after its folder.
const cwd = join(base, manifest.name)
const npm = (stdout, ...args) =>
  execFileSync('npm', [...args, '--package-lock-only'], { cwd, stdio: ['ignore', stdout, 'inherit'] })
try {
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), JSON.stringify(manifest))
  copyFileSync('package-lock.json', join(cwd, 'package-lock.json'))
  npm('ignore', 'install', '--ignore-scripts', '--no-audit', '--no-fund')
  npm('inherit', 'sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'library')
} finally {
  rmSync(base, { recursive: true })
}
