import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../package.json' with { type: 'json' }
import { isBuilt } from '../scripts/prepare.mjs'
import { filesIn, importsOf, read, ROOT } from './support/source-tree.js'

const subPaths = Object.keys(packageJson.exports).filter((path) => path !== './package.json')
const specifiers = subPaths.map((path) => packageJson.name + path.slice(1))

/** Every name that a specifier exports, as Node itself resolves it in this checkout. */
type Names = Record<string, string[]>

function namesBy(kind: 'module' | 'commonjs', load: string): Names {
  const script = `
    const names = {}
    for (const specifier of ${JSON.stringify(specifiers)}) {
      names[specifier] = Object.keys(${load}).filter((name) => name !== 'module.exports').sort()
    }
    process.stdout.write(JSON.stringify(names))`
  const output = execFileSync(process.execPath, [`--input-type=${kind}`, '--eval', script], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  return JSON.parse(output) as Names
}

let byImport: Names
let byRequire: Names

beforeAll(() => {
  if (!isBuilt()) throw new Error('dist is missing or older than its sources. Run: npm run build')
  byImport = namesBy('module', 'await import(specifier)')
  byRequire = namesBy('commonjs', 'require(specifier)')
})

describe('exports', () => {
  test.each(specifiers)('%s has the same names for import and require', (specifier) => {
    expect(byImport[specifier]).not.toEqual([])
    expect(byRequire[specifier]).toEqual(byImport[specifier])
  })

  test('no name is a default, which the two module systems read differently', () => {
    expect(Object.entries(byImport).filter(([, names]) => names.includes('default'))).toEqual([])
  })

  test('each file that a sub-path names was built', () => {
    const files = Object.values(packageJson.exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target).flatMap((kind) => Object.values(kind)),
    )
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
  })

  test('the fields for old tools name the main entry', () => {
    const main = packageJson.exports['.']
    expect([packageJson.main, packageJson.module, packageJson.types]).toEqual([
      main.require.default,
      main.import.default,
      main.import.types,
    ])
  })

  test('every folder with an index is a sub-path, and so is every store', () => {
    const indexes = filesIn('src', '/index.ts').filter((file) => file !== 'src/index.ts')
    const stores = filesIn('src/stores', '.ts')
    const parts = new Set(stores.flatMap((file) => importsOf(file).map(({ target }) => target)))
    const expected = [
      '.',
      ...indexes.map((file) => file.replace('src/', './').replace('/index.ts', '')),
      ...stores
        .filter((file) => !parts.has(file))
        .map((file) => file.replace('src/', './').replace('.ts', '')),
    ]
    expect([...subPaths].sort()).toEqual(expected.sort())
  })

  test('a phase shows nothing that the main entry does not', () => {
    const elsewhere = ['secure-api/testing', ...specifiers.filter((name) => name.includes('/stores/'))]
    const phases = specifiers.filter((name) => name !== 'secure-api' && !elsewhere.includes(name))
    const missing = phases.flatMap((phase) =>
      byImport[phase]!.filter((name) => !byImport['secure-api']!.includes(name)).map(
        (name) => `${phase}: ${name}`,
      ),
    )
    expect(missing).toEqual([])
  })
})

describe('documentation', () => {
  const pages = [
    ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'].filter((file) =>
      existsSync(join(ROOT, file)),
    ),
    ...filesIn('docs', '.md'),
    ...filesIn('examples', '.md', '.js', '.mjs', '.cjs', '.ts'),
    ...filesIn('src', '.ts'),
  ]

  test('names only sub-paths that exist', () => {
    const unknown = pages.flatMap((page) =>
      [...read(page).matchAll(/['"`](secure-api(?:\/[\w.-]+)+)['"`]/g)]
        .map(([, specifier]) => specifier!)
        .filter((specifier) => !specifiers.includes(specifier) && specifier !== 'secure-api/package.json')
        .map((specifier) => `${page}: ${specifier}`),
    )
    expect(unknown).toEqual([])
  })

  test('imports only names that exist', () => {
    const unknown = pages.flatMap((page) =>
      [
        ...read(page).matchAll(/(?:import|const) \{([^}]+)\} (?:from|= require\() ?'(secure-api[^']*)'/g),
      ].flatMap(([, names, specifier]) =>
        names!
          .split(',')
          .map((name) => name.trim().split(/\s+as\s+|:/)[0]!)
          .filter((name) => name !== '' && !name.startsWith('type '))
          .filter((name) => !byImport[specifier!]?.includes(name))
          .map((name) => `${page}: ${name} from ${specifier}`),
      ),
    )
    expect(unknown).toEqual([])
  })
})
