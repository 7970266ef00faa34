import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { RecordStore } from '../kernel/ports.js'
import {
  HOSTILE_KEYS,
  within,
  type ContractRunner,
  type ContractStore,
  type Register,
} from './contract-parts.js'

type Keeping = ContractStore & { readonly records: RecordStore }
type Test = Register<Keeping>

const SPACE = 'contract'
const MINUTE = 60_000

/** What every `RecordStore` must do. */
export function recordContract(test: Test, { describe }: ContractRunner): void {
  keeping(test)
  describe('replacing', () => replacing(test))
  describe('time to live', () => ending(test))
  describe('listing', () => listing(test))
}

function keeping(test: Test): void {
  test('gives what was put, and nothing for what was not', async ({ records }) => {
    const key = randomUUID()
    assert.equal(await records.get(SPACE, key), undefined)
    await records.put(SPACE, key, 'one')
    assert.equal(await records.get(SPACE, key), 'one')
    await records.put(SPACE, key, 'two', MINUTE)
    assert.equal(await records.get(SPACE, key), 'two')
  })

  test('gives several at once, in the order of their keys', async ({ records }) => {
    if (records.getMany === undefined) return
    const [one, two, none] = [randomUUID(), randomUUID(), randomUUID()]
    await records.put(SPACE, one, 'one')
    await records.put(SPACE, two, '', MINUTE)
    const found = await records.getMany(SPACE, [two, none, one, two])
    assert.deepEqual([...found], ['', undefined, 'one', ''])
    assert.deepEqual([...(await records.getMany('contract-two', [one]))], [undefined])
  })

  test('gives back every text as it was', async ({ records }) => {
    const key = randomUUID()
    const texts = ['', ' ', '\r\n', '\u00e9 \u{1f511}', "'; DROP TABLE records; --", '{"a":[1,"\\u0000"]}']
    for (const text of [...texts, 'x'.repeat(200_000)]) {
      await records.put(SPACE, key, text)
      assert.equal(await records.get(SPACE, key), text)
    }
  })

  test('deletes, and tells one of those who do', async ({ records }) => {
    const key = randomUUID()
    assert.equal(await records.delete(SPACE, key), false)
    await records.put(SPACE, key, 'one')
    const deleted = await Promise.all(Array.from({ length: 20 }, async () => records.delete(SPACE, key)))
    assert.equal(deleted.filter(Boolean).length, 1)
    assert.equal(await records.get(SPACE, key), undefined)
  })

  test('keeps spaces and keys apart, whatever is in them (ASVS 1.3.9)', async ({ records }) => {
    const mark = randomUUID()
    const places = ['contract', 'contract-two'].flatMap((space) => HOSTILE_KEYS.map((key) => [space, key]))
    for (const [i, [space, key]] of places.entries())
      await records.put(space!, mark + key!, String(i), MINUTE)
    for (const [i, [space, key]] of places.entries()) {
      assert.equal(await records.get(space!, mark + key!), String(i), JSON.stringify(key!.slice(0, 20)))
    }
  })
}

function replacing(test: Test): void {
  test('writes only over what was expected', async ({ records }) => {
    const key = randomUUID()
    assert.equal(await records.replace(SPACE, key, '', 'x'), false)
    assert.equal(await records.replace(SPACE, key, undefined, 'one'), true)
    assert.equal(await records.replace(SPACE, key, undefined, 'x'), false)
    assert.equal(await records.replace(SPACE, key, 'One', 'x'), false)
    assert.equal(await records.replace(SPACE, key, 'one ', 'x'), false)
    assert.equal(await records.get(SPACE, key), 'one')
    assert.equal(await records.replace(SPACE, key, 'one', 'two'), true)
    assert.equal(await records.get(SPACE, key), 'two')
  })

  test('tells an empty record from none', async ({ records }) => {
    const key = randomUUID()
    await records.put(SPACE, key, '')
    assert.equal(await records.replace(SPACE, key, undefined, 'x'), false)
    assert.equal(await records.replace(SPACE, key, '', 'one'), true)
  })

  test('lets one of many succeed that come at once', async ({ records }) => {
    const key = randomUUID()
    for (const expected of [undefined, 'mine']) {
      const attempts = Array.from({ length: 30 }, async () =>
        records.replace(SPACE, key, expected, 'mine', MINUTE),
      )
      const won = (await Promise.all(attempts)).filter(Boolean).length
      // The same text once more is what was expected, so everybody may write it.
      assert.equal(won, expected === undefined ? 1 : 30)
    }
    const numbered = Array.from({ length: 30 }, async (_, i) => records.replace(SPACE, key, 'mine', `${i}`))
    assert.equal((await Promise.all(numbered)).filter(Boolean).length, 1)
  })

  test('loses no step of those who count with it', async ({ records }) => {
    const key = randomUUID()
    const step = async (): Promise<void> => {
      for (;;) {
        const found = await records.get(SPACE, key)
        if (await records.replace(SPACE, key, found, String(Number(found ?? 0) + 1), MINUTE)) return
      }
    }
    await Promise.all(Array.from({ length: 10 }, step))
    assert.equal(await records.get(SPACE, key), '10')
  })
}

function ending(test: Test): void {
  test('ends a record, and leaves those without an end', async ({ records, pass }) => {
    const [short, long] = [randomUUID(), randomUUID()]
    await records.put(SPACE, short, 'short', 50)
    await records.put(SPACE, long, 'long')
    await pass(55)
    assert.equal(await records.get(SPACE, short), undefined)
    assert.equal(await records.replace(SPACE, short, 'short', 'x'), false)
    assert.equal(await records.delete(SPACE, short), false)
    assert.equal(await records.get(SPACE, long), 'long')
    assert.equal(await records.replace(SPACE, short, undefined, 'anew'), true)
  })

  test('is set anew by each write', async (store) => {
    const { records, pass } = store
    const { keys, replaced } = await within(store, 100, async (mark) => {
      const keys = ['put', 'replaced', 'freed'].map((what) => `${mark} ${what}`)
      for (const key of keys) await records.put(SPACE, key, 'one', 100)
      await records.put(SPACE, keys[0]!, 'two', MINUTE)
      const replaced = await records.replace(SPACE, keys[1]!, 'one', 'two', MINUTE)
      await records.put(SPACE, keys[2]!, 'two')
      return { keys, replaced }
    })
    assert.equal(replaced, true)
    await pass(105)
    for (const key of keys) assert.equal(await records.get(SPACE, key), 'two')
  })

  test('may be shorter than the one before', async ({ records, pass }) => {
    const key = randomUUID()
    await records.put(SPACE, key, 'one')
    assert.equal(await records.replace(SPACE, key, 'one', 'two', 50), true)
    await pass(55)
    assert.equal(await records.get(SPACE, key), undefined)
  })
}

function listing(test: Test): void {
  test('gives every value of a space, page by page, and of no other', async (store) => {
    const space = `list-${randomUUID()}`
    const values = Array.from({ length: 2_500 }, (_, i) => `value ${i}`)
    await Promise.all(values.map(async (value, i) => store.records.put(space, `key ${i}`, value, MINUTE)))
    await store.records.put(`${space}-two`, 'key', 'other', MINUTE)
    await store.records.put(space, 'gone', 'gone', MINUTE)
    await store.records.delete(space, 'gone')
    await store.records.put(space, 'over', 'over', 1)
    await store.pass(5)
    assert.deepEqual(new Set(await allOf(store.records, space)), new Set(values))
  })

  test('gives nothing of a space that is empty', async (store) => {
    assert.deepEqual(await allOf(store.records, `list-${randomUUID()}`), [])
  })
}

/** Every value of a space, page after page. */
export async function allOf(records: RecordStore, space: string): Promise<string[]> {
  const found: string[] = []
  let cursor: string | undefined
  do {
    const page = await records.list(space, cursor)
    found.push(...page.values)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}
