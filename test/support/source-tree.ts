import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import ts from 'typescript'

export const ROOT = resolve(__dirname, '../..')

/** Files below `folder` whose path ends in one of `endings`, relative to the checkout, with slashes. */
export function filesIn(folder: string, ...endings: string[]): string[] {
  if (!existsSync(join(ROOT, folder))) return []
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((file) => endings.length === 0 || endings.some((ending) => file.endsWith(ending)))
    .sort()
}

export function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

export function parse(file: string, text = read(file)): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
}

/** One `import`, `export ... from` or `import()` of a module. */
export interface Import {
  readonly specifier: string
  /** For a relative specifier: the file it names, relative to the checkout. */
  readonly target: string | undefined
  /** Leaves nothing behind at run time. */
  readonly typeOnly: boolean
  readonly dynamic: boolean
}

export function importsOf(file: string, text?: string): Import[] {
  const found: Import[] = []
  const add = (literal: ts.Node | undefined, typeOnly: boolean, dynamic = false): void => {
    if (literal === undefined || !ts.isStringLiteralLike(literal)) return
    const specifier = literal.text
    const target = specifier.startsWith('.')
      ? join(dirname(file), specifier.replace(/\.js$/, '.ts')).split(sep).join('/')
      : undefined
    found.push({ specifier, target, typeOnly, dynamic })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true)
    else if (ts.isCallExpression(node) && isLoader(node.expression)) add(node.arguments[0], false, true)
    ts.forEachChild(node, visit)
  }
  visit(parse(file, text))
  return found
}

function isLoader(callee: ts.Node): boolean {
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require')
}
