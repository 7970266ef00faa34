import { execFileSync } from 'node:child_process'
import packageJson from '../../package.json' with { type: 'json' }
import { read, ROOT } from '../support/source-tree.js'

interface Component {
  readonly name: string
  readonly version: string
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
}
type Locked = Record<string, { version: string; dev?: true; devOptional?: true; peer?: true }>

test('the bill of materials names every package that comes with ours, by version and hash, and no other (ASVS 15.1.2)', () => {
  const output = execFileSync(process.execPath, ['scripts/sbom.mjs'], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 60_000,
  })
  const { bomFormat, metadata, components } = JSON.parse(output) as {
    bomFormat: string
    metadata: { component: Component }
    components: Component[]
  }
  expect(bomFormat).toBe('CycloneDX')
  expect(metadata.component).toMatchObject({ name: packageJson.name, version: packageJson.version })

  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Locked }
  const expected = Object.entries(packages)
    .filter(([path, { dev, devOptional, peer }]) => path !== '' && !dev && !devOptional && !peer)
    .map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`)
  expect(components.map(({ name, version }) => `${name}@${version}`).sort()).toEqual(
    [...new Set(expected)].sort(),
  )
  expect(components.map(({ name }) => name)).toEqual(
    expect.arrayContaining(Object.keys(packageJson.dependencies)),
  )
  expect(components.filter(({ hashes }) => hashes?.[0]?.alg !== 'SHA-512')).toEqual([])
}, 60_000)
