import { filesIn, read } from './support/source-tree.js'

/** How many requirements each section of OWASP ASVS 5.0 has: `1.2` has 1.2.1 to 1.2.10. */
const SECTIONS: readonly (readonly number[])[] = [
  [2, 10, 12, 3, 3],
  [3, 3, 5, 2],
  [1, 3, 5, 8, 8, 1, 5],
  [5, 5, 2, 4],
  [1, 6, 3, 3],
  [3, 12, 8, 6, 8, 4, 2, 4],
  [3, 4, 2, 5, 3, 2],
  [4, 4, 3, 2],
  [3, 4],
  [2, 3, 5, 16, 5, 2, 3],
  [4, 5, 5, 4, 2, 2, 2],
  [5, 2, 5],
  [4, 6, 4, 7],
  [2, 8, 3],
  [5, 5, 7, 4],
  [1, 5, 4, 3, 4],
  [2, 8, 2],
]

/** A list of requirements, ranges included, as tests, sources and pages name them. */
const NAMED = /ASVS (\d+(?:\.\d+)*(?:(?:, | and |-)\d+(?:\.\d+)+)*)/g

/** Requirements that are named in a text and that ASVS does not have. */
function unknown(text: string): string[] {
  return [...text.matchAll(NAMED)].flatMap(([, list]) => list!.match(/[\d.]+/g)!).filter((id) => !exists(id))
}

function exists(id: string): boolean {
  const [chapter, section, requirement] = id.replace(/\.$/, '').split('.').map(Number)
  const count = SECTIONS[chapter! - 1]?.[section! - 1]
  if (count === undefined) return false
  // A whole section may be meant.
  return requirement === undefined || (requirement >= 1 && requirement <= count)
}

test('every requirement of ASVS 5.0 that is named exists', () => {
  const files = ['src', 'test', 'scripts', 'docs', 'examples'].flatMap((folder) =>
    filesIn(folder, '.ts', '.mjs', '.md').filter((file) => file !== 'test/asvs.test.ts'),
  )
  const named = files.flatMap((file) => [...read(file).matchAll(NAMED)])
  const wrong = files.flatMap((file) => unknown(read(file)).map((id) => `${file}: ${id}`))

  expect(SECTIONS.flat().reduce((sum, count) => sum + count)).toBe(345)
  expect(named.length).toBeGreaterThan(50)
  expect(wrong).toEqual([])
})

test.each<[string, string[]]>([
  ['ASVS 1.2.11', ['1.2.11']],
  ['ASVS 1.6', ['1.6']],
  ['ASVS 3.4 asks', []],
  ['ASVS 16.4.1, 18.1.1', ['18.1.1']],
  ['ASVS 3.4.1-3.4.9', ['3.4.9']],
  ['ASVS 5.0.0', ['5.0.0']],
  ['(ASVS 1.2.0).', ['1.2.0']],
  ['(ASVS 15.1.2, 3.4.1-3.4.6, 13.4.6).', []],
])('%s: unknown are %j', (text, ids) => expect(unknown(text)).toEqual(ids))
