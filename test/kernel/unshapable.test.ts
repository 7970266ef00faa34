import type { ServerResponse } from 'node:http'
import { unshapable } from '../../src/kernel/unshapable.js'

/** A response of which only this much is looked at. */
function reply(fields: Record<string, string | string[]>, statusCode = 200, method = 'GET'): ServerResponse {
  const given = new Map(Object.entries(fields))
  return {
    req: { method },
    statusCode,
    getHeader: (name: string) => given.get(name),
    hasHeader: (name: string) => given.has(name),
  } as unknown as ServerResponse
}

const typed = (type: string | string[]) => reply({ 'Content-Type': type })

test.each([
  'application/json',
  'APPLICATION/JSON',
  ' application/json ; charset=utf-8',
  'application/problem+json',
  'application/vnd.api+json',
  'application/ld+json',
  'application/x-ndjson',
  'application/jsonl',
  'application/json-seq',
  'application/geo+json-seq',
  'application/x-json',
  'text/json',
  'text/x-json',
  'text/event-stream',
  'text/html, application/json',
  'text/html; charset=utf-8, application/json',
  '',
  ';',
])('a body declared as "%s" could be JSON', (type) => {
  expect(unshapable(typed(type), 'x')).toBe(true)
  expect(unshapable(typed([type]), Buffer.from('x'))).toBe(true)
})

test('a body without a declared type could be JSON', () => {
  expect(unshapable(reply({}), 'x')).toBe(true)
})

test.each(['text/plain', 'text/html; charset=utf-8', 'text/csv', 'application/octet-stream', 'image/png'])(
  'a body declared as "%s" is none',
  (type) => {
    expect(unshapable(typed(type), '{"a":1}')).toBe(false)
    expect(unshapable(typed(type), undefined)).toBe(false)
  },
)

describe.each(['text/javascript', 'application/javascript; charset=utf-8', 'application/ecmascript'])(
  '%s',
  (type) => {
    test.each(['/**/ call({})', '/**/', '/', '/*', '/**'])('could be JSONP if it begins with %s', (start) => {
      expect(unshapable(typed(type), start)).toBe(true)
      expect(unshapable(typed(type), Buffer.from(start))).toBe(true)
    })

    test.each(['console.log(1)', '/* licence */', '/** documented */', '// /**/'])(
      '%s is a script',
      (start) => {
        expect(unshapable(typed(type), start)).toBe(false)
        expect(unshapable(typed(type), new TextEncoder().encode(start))).toBe(false)
      },
    )

    test('could be JSONP while its first bytes are unknown or encoded', () => {
      expect(unshapable(typed(type), undefined)).toBe(true)
      expect(unshapable(reply({ 'Content-Type': type, 'Content-Encoding': 'gzip' }), 'console')).toBe(true)
    })
  },
)

test.each([
  ['HEAD', 200],
  ['GET', 204],
  ['GET', 304],
  ['GET', 103],
])('a reply to %s with %d has no body to hide', (method, status) => {
  expect(unshapable(reply({ 'Content-Type': 'application/json' }, status, method), 'x')).toBe(false)
})

test('nor has one that ends without a byte', () => {
  expect(unshapable(typed('application/json'), null)).toBe(false)
})
