import ts from 'typescript'
import { superLinear } from './support/linear.js'
import { filesIn, parse, read } from './support/source-tree.js'

/** Who may do what sources otherwise may not, and why. */
const EXCEPTIONS: Record<string, Record<string, string>> = {
  'reads the clock': {
    'src/kernel/system-clock.ts': 'is the system clock',
    'src/identity/sso-provider.ts': 'compares it with what openid-client reads',
  },
  'turns text into code': {
    'src/data/mask-object.ts':
      'repeats one fixed text, into which only a count goes: docs/decisions/mask-functions.md',
  },
  'keeps state that every user of the process shares': {},
  'builds a regular expression at run time': {
    'src/data/plain-schema.ts': 'finds out, at start, whether a pattern of a schema is one',
  },
}

interface Rule {
  readonly name: string
  /** What stands against `node`, if anything. */
  readonly finds: (node: ts.Node) => boolean
}

const RULES: readonly Rule[] = [
  {
    // Time comes from services.clock, so that tests can move it.
    name: 'reads the clock',
    finds: (node) =>
      isMember(node, 'Date', 'now') ||
      isMember(node, 'performance') ||
      isMember(node, 'process', 'hrtime') ||
      (ts.isNewExpression(node) && isNamed(node.expression, 'Date') && !node.arguments?.length) ||
      (ts.isCallExpression(node) && isNamed(node.expression, 'Date', 'setTimeout', 'setInterval')),
  },
  {
    // ASVS 1.3.2.
    name: 'turns text into code',
    finds: (node) =>
      (ts.isCallExpression(node) || ts.isNewExpression(node)) && isNamed(node.expression, 'eval', 'Function'),
  },
  {
    name: 'exports by default',
    finds: (node) =>
      ts.isExportAssignment(node) ||
      (ts.isExportSpecifier(node) && node.name.text === 'default') ||
      (ts.canHaveModifiers(node) &&
        (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)),
  },
  { name: 'uses import.meta', finds: (node) => ts.isMetaProperty(node) && node.name.text === 'meta' },
  { name: 'declares an enum', finds: ts.isEnumDeclaration },
  { name: 'waits while it is loaded', finds: (node) => ts.isAwaitExpression(node) && !isInFunction(node) },
  {
    name: 'keeps state that every user of the process shares',
    finds: (node) =>
      ts.isVariableStatement(node) &&
      ts.isSourceFile(node.parent) &&
      (node.declarationList.flags & ts.NodeFlags.Const) === 0 &&
      !(ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword),
  },
  {
    name: 'builds a regular expression at run time',
    finds: (node) =>
      (ts.isCallExpression(node) || ts.isNewExpression(node)) && isNamed(node.expression, 'RegExp'),
  },
]

function isNamed(node: ts.Node, ...names: string[]): boolean {
  if (ts.isIdentifier(node)) return names.includes(node.text)
  return (
    ts.isPropertyAccessExpression(node) &&
    isNamed(node.expression, 'globalThis', 'global') &&
    names.includes(node.name.text)
  )
}

function isMember(node: ts.Node, object: string, member?: string): boolean {
  return (
    ts.isPropertyAccessExpression(node) &&
    isNamed(node.expression, object) &&
    (member === undefined || node.name.text === member)
  )
}

function isInFunction(node: ts.Node): boolean {
  for (let at = node.parent; !ts.isSourceFile(at); at = at.parent) if (ts.isFunctionLike(at)) return true
  return false
}

function walk(file: ts.SourceFile, visit: (node: ts.Node) => void): void {
  const descend = (node: ts.Node): void => {
    visit(node)
    ts.forEachChild(node, descend)
  }
  descend(file)
}

/** Places that break a rule, as `file:line rule`. */
function offences(file: string, text = read(file)): string[] {
  const source = parse(file, text)
  const found: string[] = []
  walk(source, (node) => {
    for (const { name, finds } of RULES) {
      if (EXCEPTIONS[name]?.[file] !== undefined || !finds(node)) continue
      found.push(`${file}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1} ${name}`)
    }
  })
  return found
}

/** Every regular expression written in `sources`, and one place where it stands. */
function expressionsIn(sources: readonly string[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const file of sources) {
    walk(parse(file), (node) => {
      if (ts.isRegularExpressionLiteral(node)) found.set(node.text, file)
    })
  }
  return found
}

const sources = filesIn('src', '.ts')

describe('sources', () => {
  const found = sources.flatMap((file) => offences(file))

  test.each(RULES.map(({ name }) => name))('nothing %s', (name) => {
    expect(found.filter((offence) => offence.endsWith(name))).toEqual([])
  })

  test('every exception is still needed', () => {
    const needed = (rule: string, file: string): boolean => {
      let found = false
      const { finds } = RULES.find(({ name }) => name === rule)!
      walk(parse(file), (node) => (found ||= finds(node)))
      return found
    }
    for (const [rule, files] of Object.entries(EXCEPTIONS)) {
      expect(Object.keys(files).filter((file) => !needed(rule, file))).toEqual([])
    }
  })

  test('leave nothing to be done later', () => {
    expect(sources.filter((file) => /\b(?:TODO|FIXME|XXX|HACK)\b/.test(read(file)))).toEqual([])
  })

  test('are plain ASCII, like tests, scripts and examples', () => {
    const written = ['src', 'test', 'scripts', 'examples', 'bench'].flatMap((folder) =>
      filesIn(folder, '.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.json'),
    )
    expect(written.length).toBeGreaterThan(sources.length)
    expect(written.filter((file) => /[^\n\x20-\x7e]/.test(read(file)))).toEqual([])
  })

  test('every regular expression takes linear time, whatever it is given (ASVS 1.3.12)', () => {
    const expressions = expressionsIn(sources)
    const slow = [...expressions].flatMap(([literal, file]) => {
      const end = literal.lastIndexOf('/')
      const why = superLinear(literal.slice(1, end), literal.slice(end + 1))
      return why === undefined ? [] : [`${file}: ${literal} ${why}`]
    })
    expect(expressions.size).toBeGreaterThan(5)
    expect(slow).toEqual([])
  }, 60_000)
})

describe('the checks themselves', () => {
  test.each([
    ['reads the clock', 'const now = Date.now'],
    ['reads the clock', 'const now = () => performance.now()'],
    ['reads the clock', 'const now = () => new Date()'],
    ['reads the clock', 'globalThis.setTimeout(() => 0, 1)'],
    ['turns text into code', "const one = new Function('return 1')"],
    ['turns text into code', "eval('1')"],
    ['exports by default', 'export default 1'],
    ['exports by default', 'export default function one() { return 1 }'],
    ['exports by default', 'const one = 1\nexport { one as default }'],
    ['uses import.meta', 'const here = import.meta.url'],
    ['declares an enum', 'enum Colour { red }'],
    ['waits while it is loaded', "await import('node:fs')"],
    ['keeps state that every user of the process shares', 'let count = 0'],
    ['builds a regular expression at run time', 'const find = (text: string) => new RegExp(text)'],
  ])('find what %s: %s', (name, text) => {
    expect(offences('src/kernel/x.ts', text)).toEqual([expect.stringContaining(name)])
  })

  test.each([
    'const when = (ms: number) => new Date(ms)',
    'const start = Date.UTC(2030, 0, 1)',
    "const load = async () => await import('node:fs')",
    'export const one = 1\nexport function two() { let n = one\n return ++n }',
  ])('leave alone: %s', (text) => {
    expect(offences('src/kernel/x.ts', text)).toEqual([])
  })

  test.each(['^(a+)+$', '\\s+$', '^a*a*$', '^(?:a|ab)(?:bc|c)*(?:bc)*$', '(?<=a+)b'])(
    'call %s super-linear',
    (source) => expect(superLinear(source, '')).toBeDefined(),
  )

  test.each(['^a+$', '^(?:[a-z]+\\.)*[a-z]+$', '[\\r\\n]', '^[\\w-]{1,64}$'])('call %s linear', (source) =>
    expect(superLinear(source, '')).toBeUndefined(),
  )
})
