import { OutgoingMessage, ServerResponse, type OutgoingHttpHeader } from 'node:http'
import { once } from '../lib/once.js'
import { lineOf, textOf } from './head-lines.js'
import { showFields, type Shown } from './shown-fields.js'
import type { Methods } from './intercept.js'
import { isBodyless } from './unshapable.js'

/**
 * Ends a reply to which nothing was added yet, as Node's `writeHead` and `end` would with the same arguments. Lines like those of the
 * reply before are not checked and not put together again, and head and body leave as one text.
 *
 * @param fields names and values in turn, no name twice
 * @returns false, and nothing is done, if it has to be done the usual way
 * @throws TypeError for what Node would refuse to send
 */
export function sendInOnePiece(
  res: ServerResponse,
  status: number,
  fields: readonly OutgoingHttpHeader[],
  body: string | undefined,
): boolean {
  const head = nodeSendsText() ? split(fields) : undefined
  if (head === undefined) return false
  WRITE_HEAD.call(res, status, head.forNode)
  showFields(res, fields)
  send(res, head, body)
  return true
}

/** What Node has to do with a head. Nothing of it is documented but `writeHead`, `end` and `setHeader`. */
interface Inner {
  /** Where a head that was written is kept until it is sent. */
  _header: string | null
  readonly _storeHeader: unknown
  readonly writeHead: Methods['writeHead']
  readonly end: Methods['end']
  readonly setHeader: unknown
  readonly strictContentLength?: boolean
}

const NODES = ServerResponse.prototype as unknown as Inner & Shown
const { writeHead: WRITE_HEAD, end: END, setHeader: SET_HEADER, _storeHeader: STORE_HEADER } = NODES
const { getHeader: GET_HEADER, getHeaders: GET_HEADERS, getHeaderNames: GET_NAMES, hasHeader: HAS } = NODES

/** As they begin in every Node. Whoever has wrapped one before this was loaded wants to see what it is given. */
const BEGINNINGS: [unknown, string][] = [
  [WRITE_HEAD, 'function writeHead(statusCode, reason, obj) {'],
  [END, 'function end(chunk, encoding, callback) {'],
  [SET_HEADER, 'function setHeader(name, value) {'],
  [STORE_HEADER, 'function _storeHeader(firstLine, headers) {'],
]
const areNodes = BEGINNINGS.every(([method, beginning]) => String(method).startsWith(beginning))

/** Whether nobody stands between a response and Node: its methods, and those that were found `below` what we put on it. */
export function isUnwrapped(res: ServerResponse, below: Methods): boolean {
  const { setHeader, _storeHeader, getHeader, getHeaders, getHeaderNames, hasHeader } =
    res as unknown as Inner & Shown
  return (
    areNodes &&
    below.writeHead === WRITE_HEAD &&
    below.end === END &&
    setHeader === SET_HEADER &&
    _storeHeader === STORE_HEADER &&
    getHeader === GET_HEADER &&
    getHeaders === GET_HEADERS &&
    getHeaderNames === GET_NAMES &&
    hasHeader === HAS
  )
}

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
    const line = lineOf(name, value)
    if (line.use === 'at-once') return undefined
    if (line.use === 'length') length = value
    if (line.use !== 'none' || typeof value !== 'string') forNode.push(name, value)
    else lines += textOf(line)
  }
  return { lines, forNode, length }
}

function send(res: ServerResponse, { lines, length }: Head, body: string | undefined): void {
  const inner = res as unknown as Inner
  const nodes = inner._header!
  const start = nodes.indexOf('\r\n') + 2
  const head = nodes.slice(0, start) + lines + nodes.slice(start)
  const hasBody = body !== undefined && !isBodyless(res)
  const whole = hasBody ? head + body : head
  const isCounted = inner.strictContentLength === true
  if (!hasBody || (!isCounted && Number(length) === body.length && isAscii(whole))) {
    inner._header = whole
    END.call(res)
    // Some write it to their logs.
    inner._header = head
  } else {
    inner._header = head
    END.call(res, body)
  }
}

/** Only ASCII is the same in UTF-8, as bodies are sent, and in ISO 8859-1, as heads are. */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

/** Whether this Node sends the text that it keeps of a head: asked of a message to nobody. */
const nodeSendsText = once(() => {
  const text = 'HTTP/1.1 401 Unauthorized\r\n\r\n'
  const message = new OutgoingMessage() as unknown as Inner & { outputData?: { data?: unknown }[] }
  message._header = text
  message.end()
  const { outputData = [] } = message
  return outputData.length === 1 && outputData[0]!.data === text
})
