import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Licenses under which code may be passed on with nothing more than their text. */
const ACCEPTED = ['MIT', 'ISC', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause']

/**
 * Build plugin: puts the license text of every package that is bundled beside the bundle, and stops the build over one
 * that has none or another kind.
 *
 * @returns {import('rolldown').Plugin}
 */
export function bundledLicenses() {
  return {
    name: 'bundled-licenses',
    generateBundle(_options, bundle) {
      const files = Object.values(bundle).flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []))
      const folders = new Set(files.filter((id) => id.includes('node_modules')).map(packageFolder))
      if (folders.size === 0) return
      const texts = [...folders].map(licenseOf).sort()
      const source = `The builds contain code of these packages; that of all but ipaddr.js is in the CommonJS build only.\n\n${texts.join('\n\n')}`
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY-LICENSES.txt', source })
    },
  }
}

function packageFolder(file) {
  let folder = dirname(file)
  while (!existsSync(join(folder, 'package.json')) || !manifest(folder).name) folder = dirname(folder)
  return folder
}

function licenseOf(folder) {
  const { name, version, license, licenses } = manifest(folder)
  const kind = license ?? licenses?.[0]?.type
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  if (!ACCEPTED.includes(kind)) throw new Error(`${name}: may not be bundled under the license ${kind}`)
  if (file === undefined) throw new Error(`${name}: ships no license text`)
  const heading = `${name} ${version} (${kind})`
  return `${heading}\n${'-'.repeat(heading.length)}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
}

function manifest(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}
