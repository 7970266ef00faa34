import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export const ROOT = resolve(__dirname, '../..')

const folders: string[] = []

/** A folder outside this checkout; `removeCopies` removes it. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'secure-api-example-'))
  folders.push(folder)
  return folder
}

/** The sources of an example in a folder of their own, with the packages of this checkout and what was built here. */
export function linkedCopy(example: string): string {
  const folder = emptyFolder()
  copyExample(example, folder)
  const packages = join(folder, 'node_modules')
  mkdirSync(packages)
  for (const name of ['express', 'oidc-provider', 'otpauth'])
    symlinkSync(join(ROOT, 'node_modules', name), join(packages, name))
  symlinkSync(ROOT, join(packages, 'secure-api'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  return folder
}

export function copyExample(example: string, to: string): void {
  cpSync(join(ROOT, 'examples', example), to, {
    recursive: true,
    filter: (path) => !/\/(?:var|node_modules)(?:\/|$)/.test(path.slice(ROOT.length)),
  })
}

export function removeCopies(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}
