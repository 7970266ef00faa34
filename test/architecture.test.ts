import { builtinModules } from 'node:module'
import { filesIn, importsOf, type Import } from './support/source-tree.js'

const PHASES = ['identity', 'access', 'traffic', 'data', 'transport', 'observe']
const WIRING = [
  'seat.ts',
  'row-setting.ts',
  'general-plan.ts',
  'route-rule.ts',
  'plan.ts',
  'plans.ts',
  'entrance.ts',
  'guard.ts',
  'handler-watch.ts',
  'check-app.ts',
  'secure-api.ts',
]

/** What each folder, or file at the top, may import besides itself. Read it as the architecture: everything points down. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  lib: [],
  kernel: ['lib'],
  ...Object.fromEntries(PHASES.map((phase) => [phase, ['kernel', 'lib']])),
  stores: ['kernel', 'lib'],
  'order.ts': ['kernel', ...PHASES],
  ...Object.fromEntries(WIRING.map((file) => [file, ['order.ts', 'check', 'kernel', 'lib', ...WIRING]])),
  check: ['route-rule.ts', 'plans.ts', 'kernel', 'lib'],
  testing: ['secure-api.ts', 'kernel', 'lib'],
  cli: ['index.ts', 'stores'],
  'index.ts': ['kernel', 'stores', 'order.ts', ...PHASES, ...WIRING],
}

/** Where each package has its role. A package without a line may be imported nowhere. */
const ROLES: Record<string, readonly string[]> = {
  helmet: ['transport/headers.ts', 'transport/helmet-headers.ts'],
  'ipaddr.js': ['kernel/client.ts', 'kernel/proxy-ranges.ts'],
  jsonwebtoken: ['identity/'],
  jws: ['identity/signature.ts'],
  jose: ['identity/'],
  'jwks-rsa': ['identity/'],
  '@simplewebauthn/server': ['identity/webauthn-desk.ts', 'identity/passkey-attestation.ts'],
  'openid-client': ['identity/sso-provider.ts'],
  otpauth: ['identity/totp-desk.ts'],
  ajv: ['data/'],
  'ajv-formats': ['data/'],
  'rate-limiter-flexible': ['stores/'],
  winston: ['observe/'],
  supertest: ['testing/'],
}

type Graph = ReadonlyMap<string, readonly Import[]>

function violations(graph: Graph): string[] {
  return [...graph].flatMap(([file, imports]) =>
    imports.flatMap(({ specifier, target }) => {
      const wrong =
        target === undefined ? packageViolation(file, specifier) : folderViolation(file, target, graph)
      return wrong === undefined ? [] : [`${file} imports ${specifier}: ${wrong}`]
    }),
  )
}

function folderViolation(file: string, target: string, graph: Graph): string | undefined {
  const from = placeOf(file)
  const to = placeOf(target)
  if (!graph.has(target)) return 'there is no such source file'
  const allowed = MAY_IMPORT[from]
  if (allowed === undefined) return `${from} has no line in MAY_IMPORT`
  return from === to || allowed.includes(to) ? undefined : `${from} may not know ${to}`
}

function packageViolation(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('node:')) return undefined
  if (builtinModules.includes(specifier)) return 'write it with node:'
  if (placeOf(file) === 'lib') return 'lib imports node: only'
  const name = packageOf(specifier)
  const places = ROLES[name] ?? []
  const path = file.slice('src/'.length)
  return places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place))
    ? undefined
    : `${name} has its role in ${places.join(' and ') || 'no place'}`
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

/** The folder below `src`, or the file itself at the top. */
function placeOf(file: string): string {
  return file.split('/')[1]!
}

/** The first cycle of imports that are still there at run time. */
function cycleIn(graph: Graph): string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    path.push(file)
    for (const { target, typeOnly } of graph.get(file) ?? []) {
      const cycle = target === undefined || typeOnly ? undefined : visit(target)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    done.add(file)
    return undefined
  }
  for (const file of graph.keys()) {
    const cycle = visit(file)
    if (cycle !== undefined) return cycle
  }
  return undefined
}

const graph: Graph = new Map(filesIn('src', '.ts').map((file) => [file, importsOf(file)]))

/** The tree with one file more, or with other text in one file. */
function planted(file: string, text: string): Graph {
  return new Map([...graph, [file, importsOf(file, text)]])
}

describe('imports', () => {
  test('point down, and packages stay where their role is', () => {
    expect(graph.size).toBeGreaterThan(50)
    expect(violations(graph)).toEqual([])
  })

  test('make no cycle that is left at run time', () => {
    expect(cycleIn(graph)).toBeUndefined()
  })

  test('show a phase to users only through its index', () => {
    const direct = graph
      .get('src/index.ts')!
      .map(({ target }) => target!)
      .filter((target) => PHASES.includes(placeOf(target)) && !target.endsWith('/index.ts'))
    expect(direct).toEqual([])
  })

  test('are what every line of the tables is about', () => {
    const places = new Set([...graph.keys()].map(placeOf))
    const packages = new Set([...graph.values()].flat().map(({ specifier }) => packageOf(specifier)))
    expect(Object.keys(MAY_IMPORT).filter((place) => !places.has(place))).toEqual([])
    expect(Object.keys(ROLES).filter((name) => !packages.has(name))).toEqual([])
  })
})

describe('the check itself', () => {
  test.each([
    ['a phase that imports another', 'src/traffic/x.ts', "import { cors } from '../transport/cors.js'"],
    ['also for types only', 'src/traffic/x.ts', "import type { CorsOptions } from '../transport/cors.js'"],
    ['also late', 'src/traffic/x.ts', "const late = () => import('../transport/cors.js')"],
    ['also by passing on', 'src/traffic/x.ts', "export { cors } from '../transport/cors.js'"],
    ['a kernel that names a stage', 'src/kernel/x.ts', "import { cors } from '../transport/cors.js'"],
    ['a library that knows the kernel', 'src/lib/x.ts', "import { refuse } from '../kernel/problem.js'"],
    ['a library that uses a package', 'src/lib/x.ts', "import helmet from 'helmet'"],
    ['a store that knows a phase', 'src/stores/x.ts', "import { rateLimit } from '../traffic/rate-limit.js'"],
    ['a package outside its role', 'src/traffic/x.ts', "import ajv from 'ajv/dist/2020.js'"],
    ['a package nobody has a role for', 'src/data/x.ts', "import express from 'express'"],
    ['a core module without node:', 'src/kernel/x.ts', "import { readFileSync } from 'fs'"],
    ['a folder that nobody placed', 'src/misc/x.ts', "import { refuse } from '../kernel/problem.js'"],
    ['a file that is not there', 'src/kernel/x.ts', "import { gone } from './gone.js'"],
  ])('finds %s', (_what, file, text) => {
    expect(violations(planted(file, text))).toEqual([expect.stringContaining(file)])
  })

  test('finds a cycle, but not one of types', () => {
    const closing = (words: string): Graph =>
      new Map([
        ['src/kernel/a.ts', importsOf('src/kernel/a.ts', "import { b } from './b.js'")],
        ['src/kernel/b.ts', importsOf('src/kernel/b.ts', words)],
      ])
    expect(cycleIn(closing("import { a } from './a.js'"))).toEqual([
      'src/kernel/a.ts',
      'src/kernel/b.ts',
      'src/kernel/a.ts',
    ])
    expect(cycleIn(closing("import { type A } from './a.js'"))).toBeDefined()
    expect(cycleIn(closing("import type { A } from './a.js'"))).toBeUndefined()
  })
})
