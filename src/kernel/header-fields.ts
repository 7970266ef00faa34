import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** The forms in which `writeHead` takes header fields. */
export type HeaderFields = OutgoingHttpHeaders | OutgoingHttpHeader[]

/** Sets what was given to `writeHead`, so that it can be read, judged and taken back. */
export function setHeaderFields(res: ServerResponse, fields: HeaderFields): void {
  if (!Array.isArray(fields)) {
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) res.setHeader(name, value)
    return
  }
  // Node takes `[[name, value], ...]` and `[name, value, name, value, ...]`.
  const flat = (Array.isArray(fields[0]) ? fields.flat() : fields) as string[]
  const seen = new Set<string>()
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = flat[i]!
    if (seen.has(name.toLowerCase())) res.appendHeader(name, flat[i + 1]!)
    else res.setHeader(name, flat[i + 1]!)
    seen.add(name.toLowerCase())
  }
}
