// `npm run test:runtimes`: the packed tarball, installed as users do, in every kind of project and on every supported Node, which comes
// from the npm registry. `npm run test:runtimes -- 24 26` tries these versions alone.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildIfStale, installPackages } from './prepare.mjs'
import { flaw, installNode, isJson, project, readJson } from './runtimes.mjs'

/** The oldest that `engines` promises, and the newest of each line. */
const VERSIONS = ['20.19.0', '20', '22', '24', '26']
const FRAMEWORKS = ['express', 'connect', 'http']
/** One that `jws` verifies, one that only `jose` does. */
const ALGORITHMS = ['ES256', 'EdDSA']

installPackages()
buildIfStale()
const base = mkdtempSync(join(tmpdir(), 'secure-api-runtimes-'))
process.once('exit', () => rmSync(base, { recursive: true, force: true }))

const expected = readJson('test/packaging/consumers/expected.json')
const asked = process.argv.slice(2)
console.error('Fetching Node')
const nodes = (asked.length === 0 ? VERSIONS : asked).map(installNode)

console.error('Installing the tarball in empty folders')
const packed = execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', base], {
  encoding: 'utf8',
})
const tarball = join(base, packed.trim())
const { version: typescript } = readJson('node_modules/typescript/package.json')
const typed = [`typescript@${typescript}`, '@types/node@20']
const tools = [...typed, 'connect@3', '@types/connect@3', 'supertest@7', '@types/supertest@6']
const bare = project(join(base, 'bare'), [tarball, ...typed])
const jest = project(join(base, 'jest'), [tarball, 'express@5', 'supertest@7', 'jest@30'])
const express = Object.fromEntries(
  ['5', '4'].map((major) => [
    major,
    project(join(base, `express${major}`), [
      tarball,
      `express@${major}`,
      `@types/express@${major}`,
      ...tools,
    ]),
  ]),
)

/** @type {{ title: string, failures: (string | undefined)[] }[]} one for each Node, or one alone */
const rows = []
const once = (title, run) => rows.push({ title, failures: [flaw(run)] })
const everywhere = (title, ...runs) =>
  rows.push({
    title,
    failures: nodes.map(({ node }) => runs.map((run) => flaw({ node, ...run })).find(Boolean)),
  })

console.error('Compiling')
const compiled = {}
for (const [major, folder] of Object.entries(express)) {
  for (const type of ['module', 'commonjs']) {
    const cwd = typescriptProject(folder, type, ['main.ts', 'use.ts'])
    compiled[`${major} ${type}`] = cwd
    for (const resolution of type === 'module' ? ['bundler', 'node16', 'nodenext'] : ['node16', 'nodenext'])
      once(`types: Express ${major}, ${type}, ${resolution}`, tsc(folder, cwd, resolution))
  }
}
const alone = typescriptProject(bare, 'module', ['bare.ts'])
once('types: without any peer', tsc(bare, alone, 'nodenext'))
once('publint', {
  args: [
    'node_modules/publint/src/cli.js',
    'run',
    join(bare, 'node_modules/secure-api'),
    '--strict',
    '--pack',
    'false',
  ],
})
once('attw', {
  args: ['node_modules/@arethetypeswrong/cli/dist/index.js', tarball, '--profile', 'node16'],
})

console.error(`Running on ${nodes.map(({ name }) => name).join(', ')}`)
for (const [major, folder] of Object.entries(express)) {
  for (const framework of FRAMEWORKS) {
    // The other frameworks are the same in both projects.
    if (major === '4' && framework !== 'express') continue
    const name = framework === 'express' ? `Express ${major}` : framework === 'http' ? 'node:http' : 'Connect'
    const kinds = {
      'JS, ESM': [folder, 'consumers/esm/main.mjs'],
      'JS, CJS': [folder, 'consumers/cjs/main.cjs'],
      'TS, ESM': [compiled[`${major} module`], 'out/main.js'],
      'TS, CJS': [compiled[`${major} commonjs`], 'out/main.js'],
    }
    for (const [kind, [cwd, file]] of Object.entries(kinds)) {
      const runs = ALGORITHMS.map((algorithm) => ({
        cwd,
        args: [file, framework, algorithm],
        stdout: isJson(expected.app),
      }))
      everywhere(`${name}, ${kind}`, ...runs)
    }
  }
}
for (const how of ['import', 'require']) {
  everywhere(`without any peer, ${how}`, {
    cwd: bare,
    args: ['consumers/bare/main.cjs', how],
    stderr: isJson(expected.bare),
  })
  everywhere(`two copies, the application's by ${how}`, {
    cwd: express['5'],
    args: ['consumers/copies/main.mjs', how],
    stdout: isJson(expected.copies),
  })
}
everywhere('a refusal in one piece', {
  cwd: bare,
  args: ['consumers/refusals/main.cjs'],
  stdout: isJson(expected.refusals),
})
everywhere('Jest without configuration', {
  cwd: join(jest, 'consumers/jest'),
  args: ['../../node_modules/jest/bin/jest.js', '--ci'],
})

report()

/** A folder of its own in a project: Node and the compiler ask the nearest `package.json` what kind of module a file is. */
function typescriptProject(folder, type, sources) {
  const cwd = join(folder, `typescript-${type}`)
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ name: 'a-users-project', private: true, type }))
  for (const source of sources) cpSync(join('test/packaging/consumers/types', source), join(cwd, source))
  return cwd
}

/** Strict as can be, and with the declarations of everybody checked as well. */
function tsc(folder, cwd, resolution) {
  const module = resolution === 'bundler' ? 'esnext' : resolution
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    esModuleInterop: true,
    target: 'es2022',
    types: ['node'],
    outDir: 'out',
    rootDir: '.',
    module,
    moduleResolution: resolution,
    noEmit: resolution === 'bundler',
  }
  const config = `tsconfig.${resolution}.json`
  writeFileSync(join(cwd, config), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  return { cwd, args: [join(folder, 'node_modules/typescript/bin/tsc'), '-p', config] }
}

function report() {
  const width = Math.max(...rows.map(({ title }) => title.length))
  const line = (title, cells) =>
    console.log([title.padEnd(width), ...cells.map((cell) => cell.padEnd(9))].join('  '))
  line(
    '',
    nodes.map(({ name }) => name),
  )
  for (const { title, failures } of rows)
    line(
      title,
      failures.map((failure) => (failure === undefined ? 'ok' : 'FAILED')),
    )

  const failed = rows.flatMap(({ title, failures }) =>
    failures.flatMap((failure, i) => (failure === undefined ? [] : [{ title, failure, on: nodes[i].name }])),
  )
  for (const { title, failure, on } of failed) console.log(`\n${title} (${on}):\n${failure}`)
  const all = rows.flatMap(({ failures }) => failures).length
  console.log(`\n${all - failed.length} of ${all} passed`)
  process.exitCode = failed.length === 0 ? 0 : 1
}
