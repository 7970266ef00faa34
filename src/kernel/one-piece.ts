import {
  IncomingMessage,
  ServerResponse,
  validateHeaderName,
  validateHeaderValue,
  type OutgoingHttpHeader,
} from 'node:http'
import { Socket } from 'node:net'
import { once } from '../lib/once.js'
import type { Methods } from './intercept.js'
import { isBodyless } from './unshapable.js'

/**
 * Ends a reply to which nothing was added yet, as Node's `writeHead` and `end` would with the same arguments. Lines like those of the
 * reply before are not checked and not put together again, and head and body leave as one text.
 *
 * @param fields names and values in turn, no name twice
 * @throws TypeError for what Node would refuse to send
 */
export function sendInOnePiece(
  res: ServerResponse,
  status: number,
  fields: OutgoingHttpHeader[],
  body: string | undefined,
): void {
  const head = nodeSendsText() ? split(fields) : undefined
  if (head === undefined) sendAsUsual(res, status, fields, body)
  else sendAsText(res, status, head, body)
}

/** Whether a response has Node's methods, as they were when the package was loaded. */
export function areNodes({ writeHead, end }: Methods): boolean {
  return writeHead === WRITE_HEAD && end === END
}

const { writeHead: WRITE_HEAD, end: END } = ServerResponse.prototype as unknown as Methods

/** Where Node keeps a head that was written, until it sends it. */
type Written = ServerResponse & { _header: string }

interface Head {
  readonly lines: string
  readonly forNode: OutgoingHttpHeader[]
  readonly length: OutgoingHttpHeader | undefined
}

/** What may be put together here, and what Node has to see; nothing if Node does more with a field than to write it. */
function split(fields: readonly OutgoingHttpHeader[]): Head | undefined {
  const forNode: OutgoingHttpHeader[] = []
  let lines = ''
  let length: OutgoingHttpHeader | undefined
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    const given = fields[i + 1]!
    // A list of one is one line.
    const value = Array.isArray(given) && given.length === 1 ? given[0]! : given
    const last = lastLines.get(name) ?? firstLine(name)
    if (last.use === 'at-once') return undefined
    if (last.use === 'length') length = value
    if (last.use !== 'none' || typeof value !== 'string') forNode.push(name, value)
    else if (value === last.value) lines += last.line
    else lines += newLine(last, name, value)
  }
  return { lines, forNode, length }
}

/** A line of a head, and what Node uses such a field for. */
interface Line {
  readonly use: 'none' | 'length' | 'by-node' | 'at-once'
  value: string | undefined
  line: string
}

/** Applications may have fields of their own, and even make some up as they go. */
const MAX_NAMES = 200
const MAX_VALUE = 1000

/** The last line of each name as it is spelt. */
const lastLines = new Map<string, Line>()

function firstLine(name: string): Line {
  validateHeaderName(name)
  const line: Line = { use: USES.get(name.toLowerCase()) ?? 'none', value: undefined, line: '' }
  if (lastLines.size < MAX_NAMES) lastLines.set(name, line)
  return line
}

function newLine(last: Line, name: string, value: string): string {
  validateHeaderValue(name, value)
  const line = `${name}: ${value}\r\n`
  if (value.length > MAX_VALUE) return line
  last.value = value
  return (last.line = line)
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

function sendAsUsual(
  res: ServerResponse,
  status: number,
  fields: OutgoingHttpHeader[],
  body: string | undefined,
): void {
  WRITE_HEAD.call(res, status, fields)
  END.call(res, body)
}

function sendAsText(
  res: ServerResponse,
  status: number,
  { lines, forNode, length }: Head,
  body: string | undefined,
): void {
  WRITE_HEAD.call(res, status, forNode)
  const written = res as Written
  const nodes = written._header
  const start = nodes.indexOf('\r\n') + 2
  const head = nodes.slice(0, start) + lines + nodes.slice(start)
  const hasBody = body !== undefined && !isBodyless(res)
  const whole = hasBody ? head + body : head
  const isCounted = (res as { strictContentLength?: boolean }).strictContentLength === true
  if (!hasBody || (!isCounted && Number(length) === body.length && isAscii(whole))) {
    written._header = whole
    END.call(res)
    // Some write it to their logs.
    written._header = head
  } else {
    written._header = head
    END.call(res, body)
  }
}

/** Only ASCII is the same in UTF-8, as bodies are sent, and in ISO 8859-1, as heads are. */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

/** Whether this Node sends the text that it keeps of a head. It does so since long, but `_header` is not documented. */
const nodeSendsText = once(() => {
  try {
    const usual = sentBy((res) =>
      sendAsUsual(res, 401, ['X-One', '1', 'X-Two', '2', 'Content-Length', 2], 'no'),
    )
    const head = { lines: 'X-One: 1\r\nX-Two: 2\r\n', forNode: ['Content-Length', 2], length: 2 }
    return usual === sentBy((res) => sendAsText(res, 401, head, 'no'))
  } catch {
    return false
  }
})

function sentBy(send: (res: ServerResponse) => void): string {
  const wire = new Wire()
  const req = new IncomingMessage(wire)
  req.httpVersionMajor = req.httpVersionMinor = 1
  const res = new ServerResponse(req)
  res.assignSocket(wire)
  res.sendDate = false
  send(res)
  return wire.sent
}

/** A connection to nobody. */
class Wire extends Socket {
  sent = ''

  override _write(text: string, _encoding: string, done: () => void): void {
    this.sent += text
    done()
  }

  override _writev(parts: { readonly chunk: string }[], done: () => void): void {
    this.sent += parts.map(({ chunk }) => chunk).join('')
    done()
  }
}
