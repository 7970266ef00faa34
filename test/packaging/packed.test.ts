import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { ROOT } from '../support/source-tree.js'
import expected from './consumers/expected.json' with { type: 'json' }
import { installPacked, pack, type Installed } from './installed.js'
import { typeErrors } from './type-check.js'

let installed: Installed

beforeAll(() => {
  installed = installPacked()
}, 120_000)
afterAll(() => installed.remove())

function runIn(project: string, ...args: string[]): { stdout: string; stderr: string } {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, args, {
    cwd: project,
    encoding: 'utf8',
    timeout: 60_000,
  })
  if (error) throw error
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`)
  return { stdout, stderr }
}

describe('the packed package protects an Express application', () => {
  test.each([
    ['ESM', 'consumers/esm/main.mjs', 'ES256'],
    ['ESM, with keys that only jose can use', 'consumers/esm/main.mjs', 'EdDSA'],
    ['CommonJS', 'consumers/cjs/main.cjs', 'ES256'],
    ['CommonJS, with keys that only jose can use', 'consumers/cjs/main.cjs', 'EdDSA'],
  ])(
    'written as %s',
    (_kind, file, algorithm) => {
      const { stdout, stderr } = runIn(installed.full, file, 'express', algorithm)
      expect(JSON.parse(stdout)).toEqual(expected.app)
      expect(stderr).toBe('')
    },
    60_000,
  )
})

test.each(['import', 'require'])(
  'works by %s where every optional peer is missing',
  (how) => {
    const { stdout, stderr } = runIn(installed.bare, 'consumers/bare/main.cjs', how)
    expect(JSON.parse(stderr)).toEqual(expected.bare)
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { outcome?: string })
    expect(events.length).toBeGreaterThanOrEqual(2)
  },
  60_000,
)

test.each(['import', 'require'])(
  '%s loads nothing heavy that only some settings use',
  (how) => {
    const { stdout } = runIn(installed.full, 'consumers/cost/main.mjs', how)
    const loaded = JSON.parse(stdout) as string[]
    expect(loaded).toContain('ajv')
    // The audit logger, key sets, shared counters, tests.
    const heavy = [
      'ipaddr.js',
      'winston',
      'jwks-rsa',
      'jose',
      'rate-limiter-flexible',
      'supertest',
      'express',
    ]
    expect(heavy.filter((name) => loaded.includes(name))).toEqual([])
  },
  60_000,
)

test.each(['import', 'require'])(
  'two copies in one process share the context of a request, where the application has that of %s',
  (how) => {
    const { stdout } = runIn(installed.full, 'consumers/copies/main.mjs', how)
    expect(JSON.parse(stdout)).toEqual(expected.copies)
  },
  60_000,
)

test('a refusal in one piece is the one that Node sends', () => {
  const { stdout } = runIn(installed.full, 'consumers/refusals/main.cjs')
  expect(JSON.parse(stdout)).toEqual(expected.refusals)
}, 60_000)

test('a plain Jest, without any configuration, tests an application that uses it', () => {
  const project = join(installed.full, 'consumers/jest')
  const { stderr } = runIn(project, join(ROOT, 'node_modules/jest/bin/jest.js'), '--ci')
  expect(stderr).toContain('Tests:       5 passed, 5 total')
}, 60_000)

describe('types', () => {
  const source = join(__dirname, 'consumers/types/use.ts')

  test.each([
    ['ESM and node16', 'module', 'node16'],
    ['CommonJS and node16', 'commonjs', 'node16'],
    ['a bundler', 'module', 'bundler'],
  ] as const)(
    'hold in a strict project with %s',
    (_kind, type, resolution) => {
      const project = join(installed.full, `types-${type}-${resolution}`)
      mkdirSync(project)
      writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'a-users-project', type }))
      cpSync(source, join(project, 'use.ts'))
      expect(typeErrors(project, resolution)).toEqual([])
    },
    60_000,
  )

  test.each(['module', 'commonjs'])(
    'hold without any optional package, in a project of type %s',
    (type) => {
      const project = join(installed.bare, `types-${type}`)
      mkdirSync(project)
      writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'a-users-project', type }))
      cpSync(join(__dirname, 'consumers/types/bare.ts'), join(project, 'use.ts'))
      expect(typeErrors(project, 'node16')).toEqual([])
    },
    60_000,
  )
})

describe('the tarball', () => {
  test('is well-formed for publint', () => {
    const publint = join(ROOT, 'node_modules/publint/src/cli.js')
    const { stdout } = runIn(
      ROOT,
      publint,
      'run',
      join(installed.bare, 'node_modules/secure-api'),
      '--strict',
      '--pack',
      'false',
    )
    expect(stdout).toContain('All good!')
  }, 60_000)

  test('resolves to the right types everywhere, says attw', () => {
    const attw = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js')
    const { stdout } = runIn(ROOT, attw, installed.tarball, '--profile', 'node16', '--format', 'json')
    const { problems = {} } = JSON.parse(stdout) as {
      problems?: Record<string, { resolutionKind?: string }[]>
    }
    // `node10` knows no sub-paths at all.
    expect(
      Object.values(problems)
        .flat()
        .filter(({ resolutionKind }) => resolutionKind !== 'node10'),
    ).toEqual([])
  }, 60_000)

  test('has the same bytes whoever builds it, wherever, and whenever', () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'secure-api-elsewhere-'))
    try {
      const sources = ['src', 'scripts', 'package.json', 'tsconfig.json', 'tsdown.config.ts']
      for (const name of [...sources, ...packageJson.files.filter((name) => name !== 'dist')])
        cpSync(join(ROOT, name), join(elsewhere, name), { recursive: true })
      symlinkSync(join(ROOT, 'node_modules'), join(elsewhere, 'node_modules'))
      runIn(elsewhere, join(ROOT, 'node_modules/tsdown/dist/run.mjs'), '--log-level', 'error')
      const digest = (tarball: string) => createHash('sha512').update(readFileSync(tarball)).digest('hex')
      expect(digest(pack(elsewhere, elsewhere))).toBe(digest(installed.tarball))
    } finally {
      rmSync(elsewhere, { recursive: true })
    }
  }, 120_000)

  test('holds what it should, and nothing else', () => {
    const files = execFileSync('tar', ['-tzf', installed.tarball], { encoding: 'utf8' }).trim().split('\n')
    const top = new Set(files.map((file) => file.replace(/^package\//, '').replace(/^dist\/.*/, 'dist')))
    expect(
      [...top].filter((file) => !['README.md', 'CHANGELOG.md', 'SECURITY.md'].includes(file)).sort(),
    ).toEqual(['LICENSE', 'dist', 'package.json'])
    expect(files).toContain('package/dist/THIRD-PARTY-LICENSES.txt')
    expect(files.filter((file) => !/\.(?:js|cjs|d\.ts|d\.cts|txt|md|json)$|LICENSE$/.test(file))).toEqual([])
  })
})
