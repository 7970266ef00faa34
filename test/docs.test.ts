import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { WHAT_IS_REPORTED } from '../src/check/settings.js'
import { catalogue } from '../src/kernel/problem.js'
import { order } from '../src/order.js'
import { checkSnippets, snippetsIn } from './support/snippets.js'
import { filesIn, parse, read, ROOT } from './support/source-tree.js'

const pages = [
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'].filter((page) =>
    existsSync(join(ROOT, page)),
  ),
  ...filesIn('docs', '.md'),
  ...filesIn('examples', '.md'),
]

describe('problems.md', () => {
  const page = read('docs/problems.md')
  const documented = Object.fromEntries(
    [...page.matchAll(/^### `([a-z-]+)` \((\d{3})\)$/gm)].map(([, code, status]) => [code, Number(status)]),
  )

  test('has every code of the catalogue with its status, and no other', () => {
    expect(documented).toEqual(
      Object.fromEntries(Object.entries(catalogue).map(([code, { status }]) => [code, status])),
    )
  })

  test('says of each when it comes and what the client should do', () => {
    const sections = page.split(/^### /m).slice(1)
    const silent = sections.filter((text) => !/^When: .+/m.test(text) || !/^Client: .+/m.test(text))
    expect(silent.map((text) => text.split('\n')[0])).toEqual([])
  })
})

test('check.md has every finding of the check, with its severity', () => {
  const page = read('docs/check.md')
  const documented = [...page.matchAll(/^\| `([a-zA-Z-]+)` +\| (high|medium|low)/gm)].map(([, code]) => code!)
  const source = ['src/check-app.ts', ...filesIn('src/check', '.ts')].map(read).join('\n')
  const written = [...source.matchAll(/\bcode: '([a-z-]+)'/g)].map(([, code]) => code!)
  const reported = Object.keys(WHAT_IS_REPORTED).map((row) => `${row}-reported`)
  expect([...documented].sort()).toEqual([...new Set([...written, ...reported])].sort())
})

describe('every row of the order', () => {
  test.each(Object.keys(order))('%s has a page', (row) => {
    expect(existsSync(join(ROOT, `docs/stages/${row}.md`))).toBe(true)
  })

  test('stands in ordering.md, in the same order', () => {
    const rows = [...read('docs/ordering.md').matchAll(/^\| \[`(\w+)`\]/gm)].map(([, row]) => row)
    expect(rows).toEqual(Object.keys(order))
  })

  test('has a comment, which is what an editor shows', () => {
    expect(uncommented(parse('src/order.ts'))).toEqual([])
  })

  function uncommented(file: ts.SourceFile): string[] {
    const found: string[] = []
    const visit = (node: ts.Node): void => {
      if (
        ts.isPropertyAssignment(node) &&
        ts.isIdentifier(node.name) &&
        node.name.text in order &&
        ts.isCallExpression(node.initializer) &&
        ts.getJSDocCommentsAndTags(node).length === 0
      ) {
        found.push(node.name.text)
      }
      ts.forEachChild(node, visit)
    }
    visit(file)
    return found
  }
})

/** Names of types and values that the entry files show. */
const shown = new Set(
  filesIn('src', 'index.ts', 'stores/redis.ts', 'stores/postgres.ts', 'order.ts').flatMap((file) =>
    [...read(file).matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, names]) =>
      names!.split(',').map((name) => name.trim().replace(/^type /, '')),
    ),
  ),
)

/** Properties of option interfaces whose comment is missing or, unless their type requires them, names no default. */
function undocumented(file: string, text?: string): string[] {
  const source = parse(file, text)
  return source.statements.flatMap((statement) => {
    if (!ts.isInterfaceDeclaration(statement) || !isExported(statement)) return []
    const { text: name } = statement.name
    if (!/(?:Options|Settings)$|^Limit$/.test(name) || (text === undefined && !shown.has(name))) return []
    return statement.members.filter(ts.isPropertySignature).flatMap((property) => {
      const comment = ts
        .getJSDocCommentsAndTags(property)
        .map((part) => part.getText(source))
        .join(' ')
      const enough = property.questionToken ? /\b(?:default|required)\b/i.test(comment) : comment !== ''
      return enough ? [] : [`${name}.${property.name.getText(source)}`]
    })
  })
}

function isExported(node: ts.InterfaceDeclaration): boolean {
  return node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false
}

describe('options', () => {
  test('each says what it defaults to, or that it is required', () => {
    expect(filesIn('src', '.ts').flatMap((file) => undocumented(file))).toEqual([])
  })

  test('the check finds one that does not', () => {
    const text =
      'export interface XOptions {\n /** How many. */\n many?: number\n /** Which. Default 1. */\n which?: number\n bare: 1 }'
    expect(undocumented('src/x.ts', text)).toEqual(['XOptions.many', 'XOptions.bare'])
  })
})

/** Links of a page that lead nowhere: to no file, or to no heading in it. */
function brokenLinks(page: string, text = read(page)): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link!)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path, anchor] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path!)
      if (target !== page && !existsSync(join(ROOT, target))) return true
      return anchor !== undefined && !anchorsOf(target === page ? text : read(target)).has(anchor)
    })
    .map((link) => `${page}: ${link}`)
}

/** The anchors that a reader of Markdown makes of headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...withoutCode(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => heading!)
  return new Set(
    headings.map((heading) =>
      heading
        .trim()
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '')
}

describe('pages', () => {
  test('lead nowhere that is not there', () => {
    expect(pages.flatMap((page) => brokenLinks(page))).toEqual([])
  })

  test('the check finds links to no file and to no heading', () => {
    const text = '# Here\n[a](#here) [b](#there) [c](gone.md) [d](../package.json) [e](https://example.com)\n'
    expect(brokenLinks('docs/x.md', text)).toEqual(['docs/x.md: #there', 'docs/x.md: gone.md'])
  })

  test('show code that compiles against this package', () => {
    expect(checkSnippets(pages.flatMap((page) => snippetsIn(page, read(page))))).toEqual([])
  }, 60_000)

  test('the check finds an option that does not exist', () => {
    const text = "```js\nimport { rateLimit } from 'secure-api'\nrateLimit({ limt: 5 })\n```\n"
    expect(checkSnippets(snippetsIn('docs/x.md', text))).toEqual([expect.stringContaining('docs/x.md:3')])
  }, 60_000)
})
