import { join } from 'node:path'
import ts from 'typescript'
import packageJson from '../../package.json' with { type: 'json' }
import { importsOf, parse, ROOT } from './source-tree.js'

/** A block of code in a page. */
export interface Snippet {
  readonly page: string
  /** The line of the page that its first line is on. */
  readonly line: number
  readonly code: string
}

/** The blocks marked as JavaScript or TypeScript. */
export function snippetsIn(page: string, text: string): Snippet[] {
  return [...text.matchAll(/^```(?:js|ts|javascript|typescript)\n([\s\S]*?)^```/gm)].map((found) => ({
    page,
    line: text.slice(0, found.index).split('\n').length + 1,
    code: asModule(found[1]!),
  }))
}

/** A block may also be a piece of settings, `claims: { ... }`. Wrapped in its first line, so that lines keep their numbers. */
function asModule(code: string): string {
  return /^\w+: /.test(code) ? `void { ${code} }` : code
}

/** `Cannot find name`: snippets leave out what their page has shown before. */
const LEFT_OUT = new Set([2304, 2552, 2580, 18004])

/**
 * What the compiler says about snippets. They need not be complete: names of the package are known without an import, and unknown
 * names are let pass. A block that begins with `// before` shows other packages, and need only be readable.
 */
export function checkSnippets(snippets: readonly Snippet[]): string[] {
  const options: ts.CompilerOptions = {
    noEmit: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    moduleDetection: ts.ModuleDetectionKind.Force,
    strict: false,
    skipLibCheck: true,
    esModuleInterop: true,
    types: ['node', 'jest'],
    paths: Object.fromEntries(subPaths().map(([specifier, file]) => [specifier, [join(ROOT, file)]])),
  }
  const files = new Map(snippets.map((snippet, i) => [join(ROOT, 'docs', `snippet-${i}.ts`), snippet]))
  const names = join(ROOT, 'docs', 'names.ts')
  const text = (file: string): string | undefined => (file === names ? globals() : files.get(file)?.code)

  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.fileExists = (file) => text(file) !== undefined || fileExists(file)
  host.getSourceFile = (file, kind, ...rest) => {
    const own = text(file)
    return own === undefined ? getSourceFile(file, kind, ...rest) : ts.createSourceFile(file, own, kind, true)
  }
  const program = ts.createProgram([names, ...files.keys()], options, host)
  return [...files].flatMap(([file, { page, line, code }]) => {
    const source = program.getSourceFile(file)!
    const meaning = code.startsWith('// before\n') ? [] : program.getSemanticDiagnostics(source)
    return [...program.getSyntacticDiagnostics(source), ...meaning]
      .filter((diagnostic) => !LEFT_OUT.has(diagnostic.code))
      .map(({ start = 0, messageText }) => {
        const at = line + source.getLineAndCharacterOfPosition(start).line
        return `${page}:${at} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
      })
  })
}

/** Each specifier of the package, and the source behind it. */
function subPaths(): [specifier: string, file: string][] {
  return Object.keys(packageJson.exports)
    .filter((path) => path !== './package.json')
    .map((path) => {
      const name = path.slice(2)
      const file = [`src/${name}/index.ts`, `src/${name}.ts`, 'src/index.ts'].find((candidate) =>
        ts.sys.fileExists(join(ROOT, candidate)),
      )!
      return [packageJson.name + path.slice(1), file]
    })
}

/** Every value of the main entry as a global, and the application that snippets speak of. */
function globals(): string {
  const names = valuesOf('src/index.ts')
  return [
    ...names.map((name) => `declare global { const ${name}: typeof import('secure-api').${name} }`),
    "declare global { const app: import('express').Express }",
    "declare global { const express: typeof import('express') }",
    'export {}',
  ].join('\n')
}

function valuesOf(file: string): string[] {
  const passedOn = importsOf(file).flatMap(({ target, typeOnly }) =>
    !typeOnly && target?.endsWith('/index.ts') ? valuesOf(target) : [],
  )
  const own = parse(file).statements.flatMap((statement) =>
    ts.isExportDeclaration(statement) &&
    !statement.isTypeOnly &&
    statement.exportClause !== undefined &&
    ts.isNamedExports(statement.exportClause)
      ? statement.exportClause.elements.filter(({ isTypeOnly }) => !isTypeOnly).map(({ name }) => name.text)
      : [],
  )
  return [...passedOn, ...own]
}
