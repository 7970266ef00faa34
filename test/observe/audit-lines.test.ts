import fc from 'fast-check'
import { linesOf, type RawLine } from '../../src/observe/audit-lines.js'
import { scratch } from './support/trail.js'

const files = scratch()

async function read(text: string): Promise<RawLine[]> {
  const lines: RawLine[] = []
  for await (const batch of linesOf(files.write('lines', text))) lines.push(...batch)
  return lines
}

test('reads the same lines wherever a chunk ends', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 60_000 }), { maxLength: 12 }), async (lengths) => {
      const texts = lengths.map((length, i) => String.fromCharCode(97 + i).repeat(length))
      const lines = await read(texts.map((text) => `${text}\n`).join(''))
      expect(lines.map(({ text }) => text)).toEqual(texts)
      expect(lines.some(({ torn, tooLong }) => torn || tooLong)).toBe(false)
    }),
    { numRuns: 50 },
  )
})

test('says which line the file stops in', async () => {
  expect(await read('a\nb')).toEqual([
    { text: 'a', torn: false, tooLong: false },
    { text: 'b', torn: true, tooLong: false },
  ])
  expect(await read('')).toEqual([])
})

test('keeps no more of an endless line than its beginning, and finds the line behind it', async () => {
  const lines = await read(`${'x'.repeat(3_000_000)}\nb\n${'y'.repeat(3_000_000)}`)
  expect(lines.map(({ torn, tooLong }) => ({ torn, tooLong }))).toEqual([
    { torn: false, tooLong: true },
    { torn: false, tooLong: false },
    { torn: true, tooLong: true },
  ])
  expect(lines[1]!.text).toBe('b')
  for (const { text } of lines) expect(text.length).toBeLessThan(512 * 1024)
})
