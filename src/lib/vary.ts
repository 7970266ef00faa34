import type { OutgoingHttpHeader } from 'node:http'

interface Fields {
  getHeader(name: string): OutgoingHttpHeader | undefined
  setHeader(name: string, value: string): unknown
}

/** Adds a field name to `Vary`, unless it is there or `*` says more (RFC 9110 section 12.5.5). What was there stays. */
export function addVary(head: Fields, field: string): void {
  const present = head.getHeader('Vary')
  if (present === undefined) {
    head.setHeader('Vary', field)
    return
  }
  const list = Array.isArray(present) ? present.join(', ') : String(present)
  const names = list.split(',').map((name) => name.trim().toLowerCase())
  if (names.includes('*') || names.includes(field.toLowerCase())) return
  head.setHeader('Vary', list.trim() === '' ? field : `${list}, ${field}`)
}
