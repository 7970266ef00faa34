import { validateHeaderName, validateHeaderValue, type OutgoingHttpHeader } from 'node:http'

/** A field of a head as it was last sent under its name, and what Node uses such a field for. */
interface Line {
  readonly use: 'none' | 'length' | 'by-node' | 'at-once'
  readonly name: string
  value: OutgoingHttpHeader | undefined
  /** Put together when it is needed. */
  text: string | undefined
}

/**
 * Most fields of a reply are those of the reply before: they are not looked at again.
 *
 * @throws TypeError for what Node would refuse to send
 */
export function lineOf(name: string, value: OutgoingHttpHeader | undefined): Line {
  const last = lastLines.get(name) ?? firstLine(name)
  if (value === last.value && value !== undefined) return last
  if (Array.isArray(value)) for (const one of value) validateHeaderValue(name, one)
  else validateHeaderValue(name, value as string)
  if (typeof value !== 'string' || value.length > MAX_VALUE || last.use === 'by-node')
    return { use: last.use, name, value, text: undefined }
  last.value = value
  last.text = undefined
  return last
}

export function textOf(line: Line): string {
  return (line.text ??= `${line.name}: ${String(line.value)}\r\n`)
}

/** Applications may have fields of their own, and even make some up as they go. */
const MAX_NAMES = 200
const MAX_VALUE = 1_000

/** The last line of each name as it is spelt. */
const lastLines = new Map<string, Line>()

function firstLine(name: string): Line {
  validateHeaderName(name)
  const use = USES.get(name.toLowerCase()) ?? 'none'
  const line: Line = { use, name, value: undefined, text: undefined }
  if (lastLines.size < MAX_NAMES) lastLines.set(name, line)
  return line
}

/** Cookies are nobody's to keep. */
const USES: ReadonlyMap<string, Line['use']> = new Map([
  ['connection', 'by-node'],
  ['content-length', 'length'],
  ['date', 'by-node'],
  ['keep-alive', 'by-node'],
  ['set-cookie', 'by-node'],
  ['expect', 'at-once'],
  ['trailer', 'at-once'],
  ['transfer-encoding', 'at-once'],
])
