import type { ServerResponse } from 'node:http'

/** Adds a field name to `Vary`, unless it is there or `*` says more (RFC 9110 section 12.5.5). What was there stays. */
export function addVary(res: ServerResponse, field: string): void {
  const present = res.getHeader('Vary')
  if (present === undefined) {
    res.setHeader('Vary', field)
    return
  }
  const list = Array.isArray(present) ? present.join(', ') : String(present)
  const names = list.split(',').map((name) => name.trim().toLowerCase())
  if (names.includes('*') || names.includes(field.toLowerCase())) return
  res.setHeader('Vary', list.trim() === '' ? field : `${list}, ${field}`)
}
