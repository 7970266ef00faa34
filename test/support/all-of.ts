import type { RecordStore } from '../../src/kernel/ports.js'

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
