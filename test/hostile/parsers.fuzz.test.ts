import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import fc from 'fast-check'
import { parsePath } from '../../src/data/mask-path.js'
import { TokenReader } from '../../src/identity/token.js'
import { clientResolver } from '../../src/kernel/client.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { compileRoutes } from '../../src/kernel/match.js'
import { parsePattern } from '../../src/kernel/route-pattern.js'
import { covers, permissionGrant } from '../../src/kernel/permission.js'
import { ambiguityOf } from '../../src/lib/ambiguous-path.js'
import { challenge } from '../../src/lib/challenge.js'
import { parseCookies } from '../../src/lib/cookie-pairs.js'
import { pointerFragment, pointerStep } from '../../src/lib/json-pointer.js'
import { parseMediaType } from '../../src/lib/media-type.js'
import { parseJson } from '../../src/lib/parse-json.js'
import { parseQuery } from '../../src/lib/query-string.js'
import { parseStrictObject } from '../../src/lib/strict-json.js'
import { parseTraceparent } from '../../src/observe/trace-context.js'
import { inherited } from '../support/inherits.js'

/** Text made of the pieces that a grammar knows, and of any others. */
const of = (...pieces: string[]) =>
  fc
    .array(
      fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...pieces) },
        fc.string({ unit: 'binary', maxLength: 3 }),
      ),
      {
        maxLength: 30,
      },
    )
    .map((parts) => parts.join(''))
const RUNS = { numRuns: 2_000 }

test('JSON within limits is what JSON.parse makes of it, or refused', () => {
  const limits = { maxDepth: 5, maxKeys: 6, maxArrayItems: 6 }
  const text = of(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"a"',
    '"b"',
    '"\\u0061"',
    '"__proto__"',
    '1',
    '-',
    '1e999',
    '"\\ud800"',
    ' ',
    'null',
  )
  fc.assert(
    fc.property(fc.oneof(text, fc.json({ maxDepth: 6 })), (json) => {
      const parsed = parseJson(json, limits)
      if (typeof parsed === 'string') return
      expect(parsed.value).toEqual(JSON.parse(json))
      expect(parsed.cost.depth).toBeLessThanOrEqual(5)
    }),
    RUNS,
  )
})

test('a strict object is one, without a prototype of its own choosing', () => {
  fc.assert(
    fc.property(of('{', '}', '"a":', '"__proto__":', '1', ',', '[', ']', '"\\ud800"'), (text) => {
      const value = parseStrictObject(Buffer.from(text))
      if (value === undefined) return
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
      expect(JSON.stringify(value)).not.toContain('__proto__')
    }),
    RUNS,
  )
})

test('a query is read as URLSearchParams reads it, or refused', () => {
  fc.assert(
    fc.property(
      of('a', 'b', '=', '&', '+', '%41', '%', '%ff', '%c3%a9', '__proto__', '?', ';', '[', ']'),
      (query) => {
        const fields = parseQuery(`/?${query}`)
        if (typeof fields === 'string') return
        const reference = new Map<string, string[]>()
        for (const [name, value] of new URLSearchParams(`?${query}`)) {
          reference.set(name, [...(reference.get(name) ?? []), value])
        }
        expect(new Map(Object.entries(fields))).toEqual(reference)
      },
    ),
    RUNS,
  )
})

test('cookies are fields without a prototype, or refused', () => {
  fc.assert(
    fc.property(of('a', '=', ';', ' ', '"', '%41', '%', '__proto__', ','), (field) => {
      const cookies = parseCookies(field, undefined)
      if (typeof cookies === 'string') return
      expect(inherited(cookies)).toEqual([])
      for (const values of Object.values(cookies))
        expect(values.every((value) => !value.includes(';'))).toBe(true)
    }),
    RUNS,
  )
})

test('a media type has a type and a subtype in small letters, or is none', () => {
  const field = of(
    'application',
    '/',
    'json',
    ';',
    'charset',
    '=',
    'utf-8',
    '"',
    '\\',
    ' ',
    '\t',
    ',',
    '+json',
  )
  fc.assert(
    fc.property(field, (text) => {
      const type = parseMediaType(text)
      if (type === undefined) return
      expect(type.essence).toMatch(/^[!#-'*+.0-9^-z|~-]+\/[!#-'*+.0-9^-z|~-]+$/)
      expect(text.toLowerCase()).toContain(type.essence)
    }),
    RUNS,
  )
})

test('a challenge is ASCII, and has as many quotes as it should', () => {
  fc.assert(
    fc.property(of('"', '\\', '\r', '\n', ',', '=', 'a', '\u2028', '\x1b'), (text) => {
      const written = challenge('Bearer', { realm: text, error: text, scope: undefined })
      expect(written).toMatch(/^[\x20-\x7e]*$/)
      expect(written.split('"')).toHaveLength(5)
      expect(written).not.toContain('\\')
    }),
    RUNS,
  )
})

test('a client is an address or unknown, and never one of the text that the client wrote', () => {
  const chain = of(
    '198.51.100.1',
    '::1',
    '[',
    ']',
    ':',
    '%',
    '.',
    ',',
    ' ',
    '0x7f',
    '010',
    ':80',
    'unknown',
    '::ffff:',
    '1',
  )
  fc.assert(
    fc.property(chain, fc.constantFrom(1, 2, ['10.0.0.0/8']), (forged, trust) => {
      const ask = (forwarded: string) =>
        clientResolver(trust)({
          socket: { remoteAddress: '10.0.0.1' },
          headers: { 'x-forwarded-for': forwarded },
          rawHeaders: [],
        } as unknown as IncomingMessage)
      const { address, key } = ask(forged)
      expect(isIP(address ?? '')).toBeGreaterThan(0)
      expect(key).toMatch(/^(?:[0-9.]+|[0-9a-f]{14}\/56)$/)
      expect(ask(`${forged}, 203.0.113.9${trust === 2 ? ', 10.0.0.2' : ''}`).address).toBe('203.0.113.9')
    }),
    RUNS,
  )
})

test('a traceparent is read only as it would be written', () => {
  const text = of(
    '00',
    '-',
    'ff',
    '0',
    'a',
    '4bf92f3577b34da6a3ce929d0e0e4736',
    '00f067aa0ba902b7',
    '01',
    'A',
    '\n',
  )
  const near = fc
    .tuple(
      fc.constantFrom('00', 'ff', '01'),
      fc.constantFrom('a', '0', 'A'),
      fc.constantFrom('b', '0', 'g'),
      fc.constantFrom('00', '01', 'ff', '0x'),
    )
    .map(([version, trace, span, flags]) => `${version}-${trace.repeat(32)}-${span.repeat(16)}-${flags}`)
  fc.assert(
    fc.property(fc.oneof(text, near), (value) => {
      const parent = parseTraceparent(value)
      if (parent === undefined) return
      expect(value.startsWith(`00-${parent.traceId}-`)).toBe(true)
      expect(parent.traceId).toMatch(/^(?=.*[^0])[0-9a-f]{32}$/)
    }),
    RUNS,
  )
})

test('a JSON pointer is ASCII and short, whatever the names are', () => {
  fc.assert(
    fc.property(
      fc.array(of('/', '~', '#', '%', '"', '\ud800', '\u00e9', '\r\n', 'x'.repeat(90))),
      (names) => {
        const fragment = pointerFragment(names.map(pointerStep).join(''))
        expect(fragment).toMatch(/^#(?:\/[!-~]*)?$/)
        expect(fragment.indexOf('#', 1)).toBe(-1)
      },
    ),
    RUNS,
  )
})

test('a path to mask, a permission and a route are understood or refused by name', () => {
  const text = of('a', '.', '*', '**', '\\', ':', ' ', '/', 'GET ', '__proto__')
  const understood = (read: () => unknown) => {
    try {
      read()
      return true
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError)
      return false
    }
  }
  fc.assert(
    fc.property(text, (written) => {
      understood(() => parsePath('mask', written))
      if (understood(() => permissionGrant('rbac', written))) expect(covers(written, written)).toBe(true)
      understood(() => compileRoutes([parsePattern(written)]))
    }),
    RUNS,
  )
})

test('a path is judged and matched without an exception, and an exact match is never of an ambiguous one', () => {
  const match = compileRoutes(['GET /', 'GET /a/:b', '* /a/*', 'POST /a/c', 'GET /d'].map(parsePattern))
  fc.assert(
    fc.property(
      of('/', 'a', 'A', 'b', 'c', '%2f', '%61', '%', '.', '..', ';', '\\', '#', '//', ' '),
      (rest) => {
        const path = `/${rest}`
        const { exact, fits } = match('GET', path)
        if (exact !== undefined) expect([ambiguityOf(path), fits[0]]).toEqual([undefined, exact])
        for (const { method } of fits) expect(['GET', '*']).toContain(method)
      },
    ),
    RUNS,
  )
})

test('a token is read or refused, and never by an exception', () => {
  const b64 = (text: string) => Buffer.from(text).toString('base64url')
  const piece = of(
    '.',
    b64('{"alg":"ES256"}'),
    b64('{}'),
    b64('{"alg":"ES256","kid":1}'),
    'e30',
    '=',
    '-',
    'A',
  )
  fc.assert(
    fc.property(piece, (text) => {
      const token = new TokenReader(new Set([undefined])).read(text)
      if (typeof token === 'string') return
      expect(text.split('.').map((part) => Buffer.from(part, 'base64url').toString('base64url'))).toEqual(
        text.split('.'),
      )
    }),
    RUNS,
  )
})
