import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { ClientRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { inspect } from 'node:util'
import { attempt } from '../../src/lib/attempt.js'
import type * as encode from '../../src/observe/audit-encode.js'
import type * as safeLog from '../../src/kernel/safe-log.js'
import type { Log } from '../../src/kernel/ports.js'
import { CANARIES, secretsIn, secretsOfBody, secretsOfHead, strangers } from './secrets.js'

/**
 * Stands in front of every test file: takes note of the credentials, cookies, keys, passwords and card numbers in every
 * request of every test, plants some in requests that have none, and fails the test after which one of them is in a log,
 * an audit event, a reply's head, a problem, or on the console.
 */
const secrets = new Set<string>()
let leaks: string[] = []

/** Whether all is well with a text that others can read. */
function isClean(where: string, text: string): boolean {
  const found = secretsIn(text, secrets)
  for (const secret of found) leaks.push(`${where} tells ${secret.slice(0, 24)}...: ${text.slice(0, 400)}`)
  return found.length === 0
}

/** What has leaked since it was asked last. */
export function takeLeaks(): string[] {
  const found = leaks
  leaks = []
  return found
}

const shown = (value: unknown) =>
  typeof value === 'string'
    ? value
    : attempt(() => inspect(value, { depth: 9, maxStringLength: null }), '[cannot be shown]')

jest.mock('../../src/kernel/safe-log.js', () => {
  const actual = jest.requireActual<typeof safeLog>('../../src/kernel/safe-log.js')
  return {
    ...actual,
    safeLog(own: Log) {
      const log = actual.safeLog(own)
      const watched =
        (level: keyof Log) =>
        (...entry: Parameters<Log['info']>): void => {
          isClean('a log entry', entry.map(shown).join(' '))
          log[level](...entry)
        }
      return { info: watched('info'), warn: watched('warn'), error: watched('error') }
    },
  }
})

jest.mock('../../src/observe/audit-encode.js', () => {
  const actual = jest.requireActual<typeof encode>('../../src/observe/audit-encode.js')
  const heard = <T>(event: T): T => {
    isClean('an audit event', typeof event === 'string' ? event : JSON.stringify(event))
    return event
  }
  return {
    ...actual,
    tidy: (...given: Parameters<typeof actual.tidy>) => heard(actual.tidy(...given)),
    eventEncoder: () => {
      const encodeEvent = actual.eventEncoder()
      return (...given: Parameters<typeof encodeEvent>) => heard(encodeEvent(...given))
    },
  }
})

/** Problems are ours to the last byte; other bodies are the handler's. */
const isProblem = (head: string) => /^content-type: application\/problem\+json/im.test(head)
const problems = new WeakMap<Socket, boolean>()

function tap(socket: Socket): void {
  if (problems.has(socket)) return
  problems.set(socket, false)
  const write = socket.write.bind(socket) as (...given: unknown[]) => boolean
  socket.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('latin1')
    const end = text.startsWith('HTTP/1.1 ') ? text.indexOf('\r\n\r\n') : -1
    if (end >= 0) {
      problems.set(socket, isProblem(text.slice(0, end)))
      isClean('the head of a reply', text.slice(0, end))
    }
    if (problems.get(socket) === true) isClean('a problem', text.slice(Math.max(end, 0)))
    return write(chunk, ...rest)
  }
}

function onRequest(message: unknown): void {
  const { request, socket, server } = message as { request: IncomingMessage; socket: Socket; server: object }
  if (strangers.has(server)) return
  for (const secret of secretsOfHead(request.headers)) secrets.add(secret)
  tap(socket)
}

const CHANNEL = 'http.server.request.start'
const LEVELS = ['log', 'info', 'warn', 'error', 'debug'] as const
const ends: (() => void)[] = []

beforeAll(() => {
  subscribe(CHANNEL, onRequest)
  ends.push(() => void unsubscribe(CHANNEL, onRequest))

  for (const level of LEVELS) {
    const say = console[level]
    console[level] = (...given: unknown[]) => {
      if (isClean('the console', given.map(shown).join(' '))) say(...given)
    }
    ends.push(() => (console[level] = say))
  }

  for (const method of ['write', 'end'] as const) {
    const send = ClientRequest.prototype[method] as (...given: unknown[]) => unknown
    ClientRequest.prototype[method] = function (this: ClientRequest, ...given: unknown[]) {
      if (!this.headersSent) plant(this)
      const [body] = given
      if (typeof body === 'string' || body instanceof Uint8Array)
        for (const secret of secretsOfBody(Buffer.from(body as string).toString())) secrets.add(secret)
      return send.apply(this, given)
    } as never
    ends.push(() => void Reflect.deleteProperty(ClientRequest.prototype, method))
  }
})

function plant(request: ClientRequest): void {
  if (!request.hasHeader('cookie')) request.setHeader('Cookie', `session=${CANARIES.cookie}`)
  if (!request.hasHeader('api-key')) request.setHeader('Api-Key', CANARIES.apiKey)
}

afterEach(() => {
  secrets.clear()
  expect(takeLeaks()).toEqual([])
})

afterAll(() => {
  for (const end of ends) end()
  expect(takeLeaks()).toEqual([])
})
