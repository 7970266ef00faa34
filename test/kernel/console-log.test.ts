import fc from 'fast-check'
import { consoleLog } from '../../src/kernel/console-log.js'
import { safeLog } from '../../src/kernel/safe-log.js'
import { unreadable } from '../support/unreadable.js'

const UNSAFE = /[\p{C}\p{Zl}\p{Zp}]/u
const said: string[] = []

beforeEach(() => {
  said.length = 0
  for (const method of ['info', 'log', 'warn', 'error'] as const) {
    jest.spyOn(console, method).mockImplementation((...entry: unknown[]) => {
      expect(entry).toHaveLength(1)
      said.push(`${method} ${String(entry[0])}`)
    })
  }
})
afterEach(() => jest.restoreAllMocks())

test('warnings and errors go where they belong, what is not worth one nowhere', () => {
  consoleLog.info('all is well')
  consoleLog.warn('bearer: slow', { issuer: 'https://id.example' })
  consoleLog.error('audit: the file takes no events')
  expect(said).toEqual([
    "warn secure-api: bearer: slow { issuer: 'https://id.example' }",
    'error secure-api: audit: the file takes no events',
  ])
})

test('an error shows its stack', () => {
  consoleLog.error('handler: failed', { cause: new TypeError('no such order') })
  expect(said[0]).toMatch(
    /^error secure-api: handler: failed \{\n {4}cause: TypeError: no such order\n {8}at /,
  )
})

test.each(unreadable)('an entry gets there with its message, whatever failed: %s', (_what, cause) => {
  consoleLog.error('handler: failed', { cause })
  expect(said[0]).toMatch(/^error secure-api: handler: failed /)
})

test('a log that cannot write the details is told the message', () => {
  const heard: string[] = []
  const error = (message: string, details?: object): void => {
    if (details !== undefined) throw new Error('cannot be serialized')
    heard.push(message)
  }
  safeLog({ info: error, warn: error, error }).error('handler: broken', { cause: unreadable[0]![1] })
  expect(heard).toEqual(['handler: broken'])
})

test('what failed cannot forge an entry, nor command a terminal, whatever it quotes (ASVS 16.4.1)', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '\r\nsecure-api: all is well',
      '\u001b[2J\u001b[1A',
      '\u2028',
      '\u202e',
      '%s %o %c',
      '\u009b31m',
    ),
  )
  fc.assert(
    fc.property(text, text, text, (message, name, code) => {
      said.length = 0
      const cause = Object.assign(new Error(message, { cause: new Error(name) }), { code, [name]: message })
      consoleLog.error('handler: failed', { id: code, cause })
      const [first, ...others] = said[0]!.split('\n')
      expect(first).toMatch(/^error secure-api: handler: failed /)
      for (const line of others) expect(line).toMatch(/^ {2}/)
      for (const line of [first!, ...others]) expect(line).not.toMatch(UNSAFE)
    }),
  )
})
