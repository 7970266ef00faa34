import { join } from 'node:path'
import ts from 'typescript'

const parsed = new Map<string, ts.SourceFile | undefined>()

/** What the compiler says about `use.ts`, and about the declarations of the package, in a strict project. */
export function typeErrors(project: string, resolution: 'node16' | 'bundler'): string[] {
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    esModuleInterop: true,
    target: ts.ScriptTarget.ES2022,
    types: ['node'],
    typeRoots: [join(project, '../node_modules/@types')],
    ...(resolution === 'node16'
      ? { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 }
      : { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }),
  }
  const host = ts.createCompilerHost(options)
  const readFile = host.getSourceFile.bind(host)
  // The libraries are most of the work, and are the same for every project.
  host.getSourceFile = (file, kind, ...rest) => {
    const key = `${typeof kind === 'object' ? kind.impliedNodeFormat : kind} ${file}`
    if (!parsed.has(key)) parsed.set(key, readFile(file, kind, ...rest))
    return parsed.get(key)
  }
  const program = ts.createProgram([join(project, 'use.ts')], options, host)
  // Whether others' declarations are sound is their affair, and most of the work.
  const ours = program
    .getSourceFiles()
    .filter(({ fileName }) => fileName.startsWith(project) || fileName.includes('/node_modules/secure-api/'))
  if (ours.length < 2) throw new Error('the package was not found')
  return [
    ...program.getOptionsDiagnostics(),
    ...ours.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]),
  ].map((diagnostic) => ts.formatDiagnostic(diagnostic, { ...host, getCurrentDirectory: () => project }))
}
