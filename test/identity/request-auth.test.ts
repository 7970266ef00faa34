import { join } from 'node:path'
import ts from 'typescript'
import { ROOT } from '../support/source-tree.js'

const parsed = new Map<string, ts.SourceFile | undefined>()

/** What the strict compiler says about `code` in a project that uses Express, this package, and `others` of its kind. */
function typeErrors(code: string, others = ''): string[] {
  const files = new Map([
    [join(ROOT, 'use.ts'), `import './src/index.js'\nimport express from 'express'\n${code}`],
    [join(ROOT, 'others.d.ts'), `${others}\nexport {}`],
  ])
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    esModuleInterop: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.fileExists = (file) => files.has(file) || fileExists(file)
  host.getSourceFile = (file, kind, ...rest) => {
    const own = files.get(file)
    if (own !== undefined) return ts.createSourceFile(file, own, kind, true)
    if (!parsed.has(file)) parsed.set(file, getSourceFile(file, kind, ...rest))
    return parsed.get(file)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  const ours = [...files.keys(), join(ROOT, 'src/identity/request-auth.ts')]
  return ours
    .flatMap((file) => program.getSemanticDiagnostics(program.getSourceFile(file)))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

const declaring = (type: string) =>
  `declare global { namespace Express { interface Request { auth?: ${type} } } }`

const THEIRS = `{
  header: { alg?: string; [member: string]: unknown }
  payload: { sub?: string; aud?: string | string[]; exp?: number; [claim: string]: unknown }
  token: string
}`

describe('req.auth', () => {
  test('has its type in handlers of Express', () => {
    const code = `express().get('/', (req, res) => {
      const subject: string | undefined = req.auth?.payload.sub
      const scope: unknown = req.auth?.payload.scope
      // @ts-expect-error -- a public route has none
      const token: string = req.auth.token
      // @ts-expect-error -- all requests with the same token share it
      req.auth!.payload.sub = 'admin'
      res.json({ subject, scope, token })
    })`
    expect(typeErrors(code)).toEqual([])
  }, 60_000)

  test('the check finds what is not there', () => {
    expect(typeErrors("express().get('/', (req) => req.auth?.nothing)")).toEqual([
      expect.stringContaining("'nothing' does not exist on type 'BearerAuth'"),
    ])
  }, 60_000)

  test.each([
    [
      'as express-oauth2-jwt-bearer does',
      THEIRS,
      'const aud: string | string[] | undefined = req.auth?.payload.aud',
    ],
    ['as it likes', 'any', 'const aud: number = req.auth.anything'],
    ['as something else', '{ sub: string }', 'const aud: string | undefined = req.auth?.sub'],
  ])(
    'who else declares it %s has the last word',
    (_how, type, use) => {
      const code = `express().get('/', (req, res) => { ${use}; res.json(aud) })`
      expect(typeErrors(code, declaring(type))).toEqual([])
    },
    60_000,
  )

  test('leaves handlers alone that are typed the way of express-jwt', () => {
    const code = `type Request<T> = express.Request & { auth?: T }
    type JwtPayload = { [claim: string]: any; sub?: string }
    express().get('/', (req: Request<JwtPayload>, res: express.Response) => { res.json(req.auth?.sub) })`
    expect(typeErrors(code)).toEqual([])
  }, 60_000)
})
