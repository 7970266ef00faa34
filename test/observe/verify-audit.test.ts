import fc from 'fast-check'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contentAfter, hashOf, lineOf, parseLine } from '../../src/observe/audit-chain.js'
import { verifyAudit, type VerifyAuditOptions } from '../../src/observe/verify-audit.js'
import { keyPair, numbered, scratch, trail } from './support/trail.js'

const files = scratch()
const { key, publicKey } = keyPair()

// Properties check hundreds of trails, on machines that may be busy.
jest.setTimeout(60_000)

async function verify(lines: readonly string[], options?: VerifyAuditOptions) {
  return verifyAudit(files.write('trail', lines.join('')), options)
}
const brief = ({ problems }: Awaited<ReturnType<typeof verifyAudit>>) =>
  problems.map(({ kind, line }) => `${kind} ${line}`)

describe('a trail that nobody touched', () => {
  test('is ok, and says what is proven: signatures up to the last checkpoint, the tail by its head', async () => {
    const { lines, head } = trail(numbered(25), { key })

    expect(await verify(lines, { publicKey, head })).toEqual({
      ok: true,
      lines: 29,
      first: 1,
      problems: [],
      unlisted: 0,
      signedTo: 29,
      unproven: [],
      tail: 'proven',
      behindHead: 0,
      head,
    })
  })

  test('leaves its tail unproven without a head, and everything unsigned without a key', async () => {
    const { lines } = trail(numbered(25), { key })
    expect(await verify(lines)).toMatchObject({ ok: true, signedTo: 0, tail: 'unproven', behindHead: 0 })
  })

  test('may have grown behind the head', async () => {
    const { lines } = trail(numbered(25), { key })
    const earlier = trail(numbered(25).slice(0, 10), { key, open: true })
    expect(await verify(lines, { publicKey, head: earlier.head })).toMatchObject({
      ok: true,
      tail: 'proven',
      behindHead: 29 - 11,
    })
  })

  test('may go on in further files', async () => {
    const first = trail(numbered(12), { key, open: true })
    const second = trail(numbered(8), {
      key,
      link: { seq: first.head.count, hash: first.head.hash },
      why: 'rotation',
    })
    const one = files.write('one', first.lines.join(''))
    const two = files.write('two', second.lines.join(''))

    expect(await verifyAudit([one, two], { publicKey, head: second.head })).toMatchObject({
      ok: true,
      first: 1,
      tail: 'proven',
    })
    expect(await verifyAudit(two, { publicKey })).toMatchObject({ ok: true, first: first.lines.length + 1 })
    expect(brief(await verifyAudit([two, one], { publicKey }))).not.toEqual([])
  })

  test('may have been signed with a key that was changed', async () => {
    const other = keyPair()
    const first = trail(numbered(12), { key })
    const link = { seq: first.head.count, hash: first.head.hash }
    const second = trail(numbered(8), { key: other.key, link })
    const lines = [...first.lines, ...second.lines]

    expect((await verify(lines, { publicKey: [publicKey, other.publicKey] })).ok).toBe(true)
    expect(brief(await verify(lines, { publicKey }))).toContain(`bad-signature ${first.lines.length + 1}`)
  })

  test('raises no false alarm, whatever its events hold (ASVS 16.4.2)', async () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '\r\n',
        '\n',
        '\u2028',
        '\u001b[2J',
        '\ud800',
        '","hash":"',
        '"kind":"checkpoint",',
        '"}',
      ),
    )
    const event = fc.dictionary(hostile, fc.oneof(hostile, fc.anything()), { maxKeys: 5 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 25 }),
        fc.integer({ min: 1, max: 12 }),
        async (events, every) => {
          const { lines, head } = trail(events, { key, every })
          expect(await verify(lines, { publicKey, head })).toMatchObject({ ok: true, tail: 'proven' })
        },
      ),
      { numRuns: 150 },
    )
  })

  test('may be empty', async () => {
    expect(await verify([])).toMatchObject({ ok: true, lines: 0, tail: 'unproven', head: undefined })
  })
})

describe('a trail that somebody touched (ASVS 16.4.2)', () => {
  const EVENTS = 40
  const whole = trail(numbered(EVENTS), { key, every: 7 })
  const COUNT = whole.lines.length
  /** A place of a line, counted from 0. */
  const place = fc.nat({ max: COUNT - 1 })

  async function tampered(change: (lines: string[]) => void, options: VerifyAuditOptions = {}) {
    const lines = [...whole.lines]
    change(lines)
    const result = await verify(lines, options)
    expect(result.ok).toBe(false)
    return result
  }

  test('names a line of which one character was changed, wherever it is', async () => {
    await fc.assert(
      fc.asyncProperty(
        place,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        async (at, share) => {
          const result = await tampered((lines) => {
            const line = lines[at]!
            const index = Math.floor(share * (line.length - 1))
            lines[at] = line.slice(0, index) + (line[index] === 'x' ? 'y' : 'x') + line.slice(index + 1)
          })
          expect(brief(result)).toEqual([`changed ${at + 1}`])
        },
      ),
      { numRuns: 400 },
    )
  })

  test('names a line that was changed and given a hash that fits', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: COUNT - 2 }), async (at) => {
        const result = await tampered((lines) => {
          lines[at] = rehashed(lines[at]!)
        })
        expect(brief(result)).toEqual([`changed ${at + 1}`])
      }),
    )
  })

  test('names the place where lines were removed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: COUNT - 2 }), fc.integer({ min: 1, max: 20 }), async (at, count) => {
        fc.pre(at + count < COUNT)
        const result = await tampered((lines) => void lines.splice(at, count))
        expect(brief(result)).toEqual([`removed ${at + 1}`])
        expect(result.problems[0]!.detail).toContain(`${count} of the lines ${at + 1} to ${at + count}`)
      }),
    )
  })

  test('names a line that was copied from elsewhere in the trail', async () => {
    await fc.assert(
      fc.asyncProperty(place, place, async (from, to) => {
        fc.pre(Math.abs(from - to) > 1)
        const result = await tampered((lines) => void lines.splice(to, 0, lines[from]!))
        expect(brief(result)).toEqual([`inserted ${to + 1}`])
      }),
    )
  })

  test.each([
    ['a line of another trail', () => trail(numbered(3), { chain: 'd'.repeat(22) }).lines[2]!],
    ['text', () => 'GET /innocent\n'],
    ['an empty line', () => '\n'],
    ['a huge line', () => `${'x'.repeat(200_000)}\n`],
    ['a line with binary in it', () => '\x00\xff\xfe\n'],
  ])('names %s that was put in, wherever it is', async (_what, make) => {
    await fc.assert(
      fc.asyncProperty(place, async (at) => {
        const result = await tampered((lines) => void lines.splice(at, 0, make()))
        expect(brief(result)).toEqual([`inserted ${at + 1}`])
      }),
      { numRuns: 30 },
    )
  })

  test('names a forged line that follows from the line before it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: COUNT - 3 }), async (at) => {
        const result = await tampered((lines) => {
          const before = parseLine(lines[at - 1]!.trimEnd())!
          const content = contentAfter(before, '"kind":"request","principal":"somebody else"')
          lines.splice(at, 0, `${lineOf(content, hashOf(content))}\n`)
        })
        expect(brief(result)).toEqual([`inserted ${at + 1}`])
      }),
    )
  })

  test('names lines that changed places', async () => {
    await fc.assert(
      fc.asyncProperty(place, place, async (one, other) => {
        fc.pre(one !== other)
        const result = await tampered((lines) => {
          ;[lines[one], lines[other]] = [lines[other]!, lines[one]!]
        })
        const kinds = new Set(result.problems.map(({ kind }) => kind))
        expect([...kinds]).toEqual(['swapped'])
        for (const { line } of result.problems) expect([one + 1, other + 1]).toContain(line)
        if (Math.abs(one - other) > 1) expect(result.problems).toHaveLength(2)
      }),
      { numRuns: 300 },
    )
  })

  test('names a line that was moved', async () => {
    await fc.assert(
      fc.asyncProperty(place, place, async (from, to) => {
        fc.pre(Math.abs(from - to) > 1)
        const result = await tampered((lines) => {
          const [line] = lines.splice(from, 1)
          lines.splice(to, 0, line!)
        })
        expect(brief(result)).toEqual([`swapped ${to + 1}`])
      }),
      { numRuns: 300 },
    )
  })

  test('names a line that the file stops in', async () => {
    const result = await tampered((lines) => {
      lines[COUNT - 1] = lines[COUNT - 1]!.slice(0, 50)
    })
    expect(brief(result)).toEqual([`torn ${COUNT}`])
  })

  test('finds lines that were cut off at the end only with the head', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: COUNT - 1 }), async (kept) => {
        const lines = whole.lines.slice(0, kept)
        expect(await verify(lines, { publicKey })).toMatchObject({ ok: true, tail: 'unproven' })

        const result = await verify(lines, { publicKey, head: whole.head })
        expect(brief(result)).toEqual([`truncated ${kept}`])
        expect(result.tail).toBe('unproven')
      }),
    )
  })

  test('finds that it was replaced by another trail, only with the head', async () => {
    const other = trail(numbered(EVENTS), { key, chain: 'd'.repeat(22) })
    expect(await verify(other.lines, { publicKey })).toMatchObject({ ok: true, tail: 'unproven' })
    expect(brief(await verify(other.lines, { publicKey, head: whole.head }))).toEqual(['replayed 1'])
    expect(brief(await verify([], { publicKey, head: whole.head }))).toContain('truncated 1')
  })

  test('finds that it was rewritten as a whole with the public key, and with the head', async () => {
    const unsigned = trail(numbered(EVENTS).reverse(), { every: 7 })
    expect(await verify(unsigned.lines)).toMatchObject({ ok: true, signedTo: 0 })
    expect((await verify(unsigned.lines, { publicKey })).problems[0]).toMatchObject({
      kind: 'bad-signature',
      line: 1,
    })
    expect(brief(await verify(unsigned.lines, { head: whole.head }))).toEqual([`changed ${whole.head.count}`])
  })

  test('finds a checkpoint that another key signed', async () => {
    const forged = trail(numbered(EVENTS), { key: keyPair().key, every: 7 })
    const result = await verify(forged.lines, { publicKey })
    expect(new Set(result.problems.map(({ kind }) => kind))).toEqual(new Set(['bad-signature']))
    expect(result.signedTo).toBe(0)
  })

  test('finds a signature that is not that of the key it names', async () => {
    await tampered(
      (lines) => {
        const { content } = parseLine(lines[COUNT - 1]!.trimEnd())!
        const forged = content.replace(
          /"signature":"(.)/,
          (_all, first: string) => `"signature":"${first === 'A' ? 'B' : 'A'}`,
        )
        lines[COUNT - 1] = `${lineOf(forged, hashOf(forged))}\n`
      },
      { publicKey },
    ).then((result) => expect(brief(result)).toEqual([`bad-signature ${COUNT}`]))
  })

  test('finds that there is no checkpoint at all', async () => {
    const link = { seq: 0, hash: '' }
    const lines = relinked(link, trail(numbered(5), { every: 100, open: true }).lines.slice(1))
    expect(await verify(lines)).toMatchObject({ ok: true, signedTo: 0 })
    expect(brief(await verify(lines, { publicKey }))).toEqual(['bad-signature 1'])
  })

  test('names only one of two copies of a line as the one that was moved', async () => {
    const result = await tampered((lines) => {
      const [line] = lines.splice(10, 2)
      lines.splice(20, 0, line!)
      lines.splice(30, 0, line!)
    })
    expect(brief(result)).toEqual(['removed 11', 'swapped 21', 'inserted 31'])
  })

  test('finds a rewritten part from the next checkpoint on', async () => {
    const at = 20
    const start = parseLine(whole.lines[at - 1]!.trimEnd())!
    const forged = trail(numbered(EVENTS - at).reverse(), { link: start, why: 'records' })
    const result = await verify([...whole.lines.slice(0, at), ...forged.lines], { publicKey })
    expect(result.problems[0]).toMatchObject({ kind: 'bad-signature', line: at + 1 })
  })

  test('finds that checkpoints stopped coming', async () => {
    const start = parseLine(whole.lines[0]!.trimEnd())!
    const forged = trail(numbered(100), { link: start, every: 1_000, open: true })
    const result = await verify([whole.lines[0]!, ...relinked(start, forged.lines.slice(1))], { publicKey })
    expect(brief(result)).toEqual(['bad-signature 9'])
    expect(result.signedTo).toBe(1)
  })

  test('does not follow a chain that is garbage from end to end, and lists no more than a thousand problems', async () => {
    const result = await verify(
      Array.from({ length: 5_000 }, (_, i) => `garbage ${i}\n`),
      { publicKey },
    )
    expect(result.problems.length).toBe(1_000)
    expect(result.unlisted).toBeGreaterThanOrEqual(4_000)
    expect(result.ok).toBe(false)
  })

  describe('by any number of changes is never called sound', () => {
    const change = fc.record({
      how: fc.constantFrom('change', 'remove', 'copy', 'swap', 'garble', 'foreign', 'merge', 'cut'),
      one: place,
      other: place,
    })
    const foreign = trail(numbered(EVENTS), { chain: 'd'.repeat(22), every: 7 }).lines
    const apply = (
      lines: string[],
      { how, one, other }: { how: string; one: number; other: number },
    ): void => {
      if (lines.length === 0) return
      const [a, b] = [one % lines.length, other % lines.length]
      const actions: Record<string, () => unknown> = {
        change: () => (lines[a] = lines[a]!.replace(/\d/, (digit) => String((Number(digit) + 1) % 10))),
        remove: () => lines.splice(Math.min(a, b), Math.abs(a - b) + 1),
        copy: () => lines.splice(a, 0, lines[b]!),
        swap: () => ([lines[a], lines[b]] = [lines[b]!, lines[a]!]),
        garble: () => (lines[a] = 'garbage\n'),
        foreign: () => (lines[a] = foreign[a % foreign.length]!),
        merge: () => (lines[a] = lines[a]!.replace('\n', ' ')),
        cut: () => (lines[a] = lines[a]!.slice(0, -20)),
      }
      actions[how]!()
    }

    test('with key and head', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 5 }), async (changes) => {
          const lines = [...whole.lines]
          for (const one of changes) apply(lines, one)
          const sound = lines.join('') === whole.lines.join('')
          const result = await verify(lines, { publicKey, head: whole.head })
          expect(result.ok && result.tail === 'proven').toBe(sound)
        }),
        { numRuns: 500 },
      )
    })

    test('without either, unless what is left is the beginning of a trail', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 5 }), async (changes) => {
          const lines = [...whole.lines]
          for (const one of changes) apply(lines, one)
          const text = lines.join('')
          // What is left may be the beginning of this trail, or of the other one: nothing in it speaks against that.
          const isBeginning = [whole.lines, foreign].some(
            (trail) => trail.join('').startsWith(text) && (text === '' || text.endsWith('\n')),
          )
          expect((await verify(lines)).ok).toBe(isBeginning)
        }),
        { numRuns: 500 },
      )
    })
  })

  test('finds several things at once', async () => {
    const result = await tampered((lines) => {
      lines.splice(30, 2)
      lines[20] = lines[20]!.replace('GET', 'PUT')
      lines.splice(10, 0, 'garbage\n')
    })
    expect(brief(result)).toEqual(['inserted 11', 'changed 22', 'removed 32'])
  })
})

test('names the file of a rotated trail that a problem is in', async () => {
  const first = trail(numbered(12), { key, open: true })
  const second = trail(numbered(8), {
    key,
    link: { seq: first.head.count, hash: first.head.hash },
    why: 'rotation',
  })
  const one = files.write('one', first.lines.slice(0, -2).join(''))
  const two = files.write('two', second.lines.join(''))
  expect((await verifyAudit([one, two], { publicKey })).problems).toMatchObject([
    { kind: 'removed', file: 1, line: 1 },
  ])
})

test.each<[string, unknown]>([
  ['publicKey', { publicKey: 'not a key CANARY' }],
  ['publicKey', { publicKey: [] }],
  ['publicKey is undefined', { publicKey: undefined }],
  ['Did you mean "publicKey"', { publickey: 'CANARY' }],
  ['head is undefined', { head: undefined }],
  ['head', { head: null }],
  ['verifyAudit must be an object', null],
  ['head', { head: { chain: 'x' } }],
])('refuses a %s that is none, without repeating it', async (name, options) => {
  const path = files.write('trail', '')
  await expect(verifyAudit(path, options as VerifyAuditOptions)).rejects.toThrow(ConfigError)
  await expect(verifyAudit(path, options as VerifyAuditOptions)).rejects.toThrow(name)
  await expect(verifyAudit(path, options as VerifyAuditOptions)).rejects.not.toThrow('CANARY')
})

test.each([[[]], [undefined], [''], [['trail', undefined]]])(
  'refuses %j in the place of files: nothing would be checked, and found well',
  async (file) => {
    await expect(verifyAudit(file as string[])).rejects.toThrow(ConfigError)
  },
)

test('rejects with the system error if there is no such file', async () => {
  await expect(verifyAudit(files.path('absent'))).rejects.toMatchObject({ code: 'ENOENT' })
})

/** The same line with another content and a hash that fits. */
function rehashed(line: string): string {
  const { content } = parseLine(line.trimEnd())!
  const changed = content.replace('"time":"2030', '"time":"2031')
  return `${lineOf(changed, hashOf(changed))}\n`
}

/** Lines of one trail as the continuation of another. */
function relinked(start: { seq: number; hash: string }, lines: readonly string[]): string[] {
  let link = start
  return lines.map((line) => {
    const members = parseLine(line.trimEnd())!.content.replace(/^\{"seq":\d+,"prev":"[^"]*",/, '')
    const content = contentAfter(link, members)
    link = { seq: link.seq + 1, hash: hashOf(content) }
    return `${lineOf(content, link.hash)}\n`
  })
}
