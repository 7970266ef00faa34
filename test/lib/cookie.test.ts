import fc from 'fast-check'
import { addCookie, cookieField, cookiesNamed } from '../../src/lib/cookie.js'

describe('cookiesNamed', () => {
  test.each<[string | undefined, string[]]>([
    [undefined, []],
    ['', []],
    ['__Host-s=a', ['a']],
    ['x=1; __Host-s=a;y=2', ['a']],
    ['\t__Host-s \t= a ', ['a']],
    ['__Host-s=a; __Host-s=b; __Host-s=c', ['a', 'b']],
    ['__Host-s=', ['']],
    ['__Host-s=a=b', ['a=b']],
    ['__Host-s="a"', ['"a"']],
    ['__Host-s=%61', ['%61']],
    // Look-alikes that are other cookies, or none.
    ['__Host-s', []],
    ['__Host-s; x=a', []],
    ['__host-s=a', []],
    ['x__Host-s=a', []],
    ['__Host-s2=a', []],
    ['=__Host-s=a', []],
    ['x=__Host-s=a', []],
    ['__Host-%73=a', []],
    // What `trim` would take off, and a browser does not.
    ['\u00a0__Host-s=a', []],
    ['\u2000__Host-s=a', []],
    ['\u0085__Host-s=a', []],
    ['\u000b__Host-s=a', []],
    ['$Version=1; x="; __Host-s=a"', ['a"']],
  ])('%j has %j', (field, expected) => expect(cookiesNamed('__Host-s', field)).toEqual(expected))

  test('reads whatever is sent like one who takes it apart at every semicolon', () => {
    const piece = fc.constantFrom('s', 'ss', 'x', '=', ';', '; ', ' ', '\t', '\u00a0', '"', 's=', '; s=a')
    const blanks = /^[ \t]+|[ \t]+$/g
    const apart = (field: string) =>
      field
        .split(';')
        .map((pair) => /^([^=]*)=(.*)$/s.exec(pair))
        .filter((parts) => parts?.[1]!.replace(blanks, '') === 's')
        .map((parts) => parts![2]!.replace(blanks, ''))
        .slice(0, 2)
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        expect(cookiesNamed('s', pieces.join(''))).toEqual(apart(pieces.join('')))
      }),
    )
  })

  test('finds what was sent, wherever it stands', () => {
    const text = fc.stringMatching(/^[a-z0-9-]{0,12}$/)
    fc.assert(
      fc.property(text, fc.array(fc.tuple(text, text), { maxLength: 6 }), (value, others) => {
        const before = others.map(([name, other]) => `n-${name}=${other}`)
        expect(cookiesNamed('s', [...before, `s=${value}`, ...before].join('; '))).toEqual([value])
      }),
    )
  })
})

test('a cookie belongs to its host alone, and to nobody who asks for less', () => {
  expect(cookieField('__Host-s', 'v', { secure: true, httpOnly: true, sameSite: 'lax' })).toBe(
    '__Host-s=v; Path=/; HttpOnly; Secure; SameSite=Lax',
  )
  const gone = { secure: false, httpOnly: false, sameSite: 'none', maxAgeSeconds: 0 } as const
  expect(cookieField('s', '', gone)).toBe('s=; Path=/; Max-Age=0; SameSite=None')
})

test.each<[unknown, string[]]>([
  [undefined, ['s=new']],
  ['a=1', ['a=1', 's=new']],
  [
    ['s=old', 'a=1', 's2=x'],
    ['a=1', 's2=x', 's=new'],
  ],
])('beside %j, a cookie takes the place of its own kind only', (present, expected) => {
  const head = new Map<string, unknown>([['Set-Cookie', present]])
  const fields = {
    getHeader: (name: string) => head.get(name) as string[] | undefined,
    setHeader: (name: string, value: unknown) => head.set(name, value),
  }
  addCookie(fields, 's', 's=new')
  expect(head.get('Set-Cookie')).toEqual(expected)
})
