import { createHmac, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { bearer } from '../../src/identity/bearer.js'
import { faults, type Fault } from '../../src/identity/faults.js'
import { fakeClock, localIssuer, serve } from '../../src/testing/index.js'
import { signToken } from '../../src/testing/sign.js'

const clock = fakeClock()
const NOW = Math.floor(clock.now() / 1000)
const issuer = localIssuer({ clock })
const rsa = localIssuer({ clock, issuer: 'https://rsa.test', algorithm: 'RS256' })
const stranger = localIssuer({ clock })
const secret = createSecretKey(
  Buffer.from('4f9d1c0be7a2638500112233445566778899aabbccddeeff0f1e2d3c4b5a6978', 'hex'),
)

const { get, handled } = serve(
  bearer({
    audience: issuer.audience,
    issuers: [
      { issuer: issuer.issuer, keys: issuer.jwks.keys },
      { issuer: rsa.issuer, keys: createPublicKey(rsa.key) },
      { issuer: 'https://hmac.test', secret },
    ],
  }),
  { clock },
)

const header = { alg: 'ES256', typ: 'at+jwt', kid: 'key-1' }
const claims = {
  iss: issuer.issuer,
  aud: issuer.audience,
  sub: 'user-1',
  client_id: 'client-1',
  jti: 'id-1',
  iat: NOW,
  exp: NOW + 300,
}
const json = JSON.stringify

/** Anything, signed with the right key. */
function signed(head: object | string = header, payload: object | string = claims): string {
  return signToken(head as Record<string, unknown>, payload as Record<string, unknown>, issuer.key, 'ES256')
}

function edit(token: string, part: number, change: (text: string) => string): string {
  const parts = token.split('.')
  parts[part] = change(parts[part]!)
  return parts.join('.')
}

/** The same bytes in another spelling: the last character of base64url has bits that mean nothing. */
function respell(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1)!) + 1]!
}

function hmac(head: object, payload: object, key: KeyObject | string | Buffer): string {
  const input = [head, payload].map((part) => Buffer.from(json(part)).toString('base64url')).join('.')
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
}

const pem = (key: KeyObject) => createPublicKey(key).export({ type: 'spki', format: 'pem' })
const b64 = (text: string | Buffer) => Buffer.from(text).toString('base64url')
/** With two bytes too few for whole groups of base64. */
const odd = `${json(claims)}${' '.repeat((4 - (json(claims).length % 3)) % 3)}`
const without = (name: string) => json({ ...claims, [name]: undefined })

const hostile: [what: string, rule: Fault, token: string][] = [
  // form
  ['one part', 'token-malformed', 'abc'],
  ['two parts', 'token-malformed', 'abc.def'],
  ['four parts', 'token-malformed', `${issuer.mint()}.abc`],
  ['five parts, as a JWE has', 'token-malformed', 'a.b.c.d.e'],
  ['no header', 'token-malformed', edit(issuer.mint(), 0, () => '')],
  ['no payload', 'token-malformed', edit(issuer.mint(), 1, () => '')],
  ['no signature', 'token-malformed', edit(issuer.mint(), 2, () => '')],
  ['a detached payload', 'token-malformed', issuer.mint().replace(/\..*\./, '..')],
  [
    'standard base64 in the signature',
    'token-malformed',
    edit(issuer.mint(), 2, (text) => `${text.slice(0, -1)}+`),
  ],
  ['padding after the signature', 'token-malformed', `${issuer.mint()}=`],
  ['leftover bits in the signature', 'token-malformed', edit(issuer.mint(), 2, respell)],
  ['leftover bits in the payload', 'token-malformed', edit(signed(header, odd), 1, respell)],
  ['a tilde in the payload', 'token-malformed', edit(issuer.mint(), 1, (text) => `${text}~`)],
  ['a header that is no JSON', 'token-malformed', signed('{"alg":"ES256"')],
  ['a header that is an array', 'token-malformed', signed('["ES256"]')],
  ['a header that is null', 'token-malformed', signed('null')],
  ['a payload that is a string', 'token-malformed', signed(header, '"claims"')],
  ['a payload that is an array', 'token-malformed', signed(header, json([claims]))],
  ['a payload with a byte order mark', 'token-malformed', signed(header, `\uFEFF${json(claims)}`)],
  [
    'a payload in invalid UTF-8',
    'token-malformed',
    edit(issuer.mint(), 1, () => b64(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))),
  ],
  [
    'a payload in UTF-16',
    'token-malformed',
    edit(issuer.mint(), 1, () => b64(Buffer.from(json(claims), 'utf16le'))),
  ],
  ['a subject twice', 'token-malformed', signed(header, `{"sub":"admin",${json(claims).slice(1)}`)],
  [
    'a subject twice, once with escapes',
    'token-malformed',
    signed(header, `{"\\u0073ub":"admin",${json(claims).slice(1)}`),
  ],
  [
    'a member twice deep inside',
    'token-malformed',
    signed(header, `${json(claims).slice(0, -1)},"a":[{"b":{"c":1,"c":2}}]}`),
  ],
  ['an algorithm twice', 'token-malformed', signed(`{"alg":"none",${json(header).slice(1)}`)],
  [
    '__proto__ in the payload',
    'token-malformed',
    signed(header, `${json(claims).slice(0, -1)},"__proto__":{"admin":true}}`),
  ],
  [
    '__proto__ in escapes',
    'token-malformed',
    signed(header, `${json(claims).slice(0, -1)},"__pro\\u0074o__":{"admin":true}}`),
  ],
  ['__proto__ in the header', 'token-malformed', signed(`${json(header).slice(0, -1)},"__proto__":{}}`)],
  [
    'half a surrogate pair in the subject',
    'token-malformed',
    signed(header, json({ ...claims, sub: 'X' }).replace('X', '\\ud800')),
  ],
  [
    'claims nested a thousand deep',
    'token-malformed',
    signed(header, `${json(claims).slice(0, -1)},"a":${'['.repeat(1000)}${']'.repeat(1000)}}`),
  ],
  ['more bytes than are accepted', 'token-too-long', issuer.mint({ blob: 'x'.repeat(8192) })],

  // header
  ['crit', 'token-header', issuer.mint({}, { header: { crit: ['exp'] } })],
  ['an unknown crit', 'token-header', issuer.mint({}, { header: { crit: ['foo'], foo: 1 } })],
  ['an empty crit', 'token-header', issuer.mint({}, { header: { crit: [] } })],
  ['jku (ASVS 9.1.3)', 'token-header', issuer.mint({}, { header: { jku: 'https://evil.test/jwks' } })],
  ['x5u (ASVS 9.1.3)', 'token-header', issuer.mint({}, { header: { x5u: 'https://evil.test/cert' } })],
  ['x5c (ASVS 9.1.3)', 'token-header', issuer.mint({}, { header: { x5c: ['MII'] } })],
  ['b64', 'token-header', issuer.mint({}, { header: { b64: false } })],
  ['its own key (ASVS 9.1.3)', 'token-header', stranger.mint({}, { header: { jwk: stranger.jwks.keys[0] } })],
  ['a kid that is a number', 'token-header', issuer.mint({}, { header: { kid: 1 } })],
  ['a kid that is empty', 'token-header', issuer.mint({}, { header: { kid: '' } })],
  ['a kid that is null', 'token-header', issuer.mint({}, { header: { kid: null } })],
  ['a kid that is a list', 'token-header', issuer.mint({}, { header: { kid: ['key-1'] } })],
  ['a kid of 257 characters', 'token-header', issuer.mint({}, { header: { kid: 'k'.repeat(257) } })],

  // algorithm
  [
    'alg none',
    'token-algorithm',
    `${b64(json({ ...header, alg: 'none' }))}.${b64(json(claims))}.${b64('x')}`,
  ],
  ['alg None', 'token-algorithm', issuer.mint({}, { header: { alg: 'None' }, algorithm: 'ES256' })],
  ['alg nOnE', 'token-algorithm', issuer.mint({}, { header: { alg: 'nOnE' }, algorithm: 'ES256' })],
  ['alg es256', 'token-algorithm', issuer.mint({}, { header: { alg: 'es256' }, algorithm: 'ES256' })],
  ['alg with a space', 'token-algorithm', issuer.mint({}, { header: { alg: 'ES256 ' }, algorithm: 'ES256' })],
  ['alg as a list', 'token-algorithm', issuer.mint({}, { header: { alg: ['ES256'] }, algorithm: 'ES256' })],
  ['no alg', 'token-algorithm', issuer.mint({}, { header: { alg: undefined }, algorithm: 'ES256' })],
  [
    'an inherited name as alg',
    'token-algorithm',
    issuer.mint({}, { header: { alg: 'toString' }, algorithm: 'ES256' }),
  ],
  ['RS1', 'token-algorithm', issuer.mint({}, { header: { alg: 'RS1' }, algorithm: 'ES256' })],
  ['ES256K', 'token-algorithm', issuer.mint({}, { header: { alg: 'ES256K' }, algorithm: 'ES256' })],
  [
    'HS256 with the public key as the secret',
    'token-algorithm',
    hmac({ ...header, alg: 'HS256' }, claims, pem(issuer.key)),
  ],
  [
    'HS256 with the public RSA key as the secret',
    'token-algorithm',
    hmac({ alg: 'HS256', typ: 'at+jwt' }, { ...claims, iss: rsa.issuer }, pem(rsa.key)),
  ],
  [
    'ES256 where a secret is shared',
    'token-algorithm',
    signed(header, { ...claims, iss: 'https://hmac.test' }),
  ],
  ['RS256 with a P-256 key', 'token-key', issuer.mint({}, { header: { alg: 'RS256' }, algorithm: 'ES256' })],
  ['ES384 with a P-256 key', 'token-key', issuer.mint({}, { header: { alg: 'ES384' } })],
  [
    'PS256 with a key that says ES256',
    'token-key',
    rsa.mint({ iss: issuer.issuer }, { header: { alg: 'PS256', kid: 'key-1' } }),
  ],
  ['EdDSA with a P-256 key', 'token-key', issuer.mint({}, { header: { alg: 'EdDSA' }, algorithm: 'ES256' })],
  ['ES256 with an RSA key', 'token-key', issuer.mint({ iss: rsa.issuer }, { header: { kid: undefined } })],

  // type
  ['no typ', 'token-type', issuer.mint({}, { header: { typ: undefined } })],
  ['typ JWT, as ID tokens have', 'token-type', issuer.mint({}, { header: { typ: 'JWT' } })],
  ['a DPoP proof', 'token-type', issuer.mint({}, { header: { typ: 'dpop+jwt' } })],
  ['a logout token', 'token-type', issuer.mint({}, { header: { typ: 'logout+jwt' } })],
  ['typ with more behind it', 'token-type', issuer.mint({}, { header: { typ: 'at+jwt;x=1' } })],
  ['typ as a list', 'token-type', issuer.mint({}, { header: { typ: ['at+jwt'] } })],
  ['typ null', 'token-type', issuer.mint({}, { header: { typ: null } })],

  // issuer and audience
  ['no issuer', 'token-claims', issuer.mint({ iss: undefined })],
  ['an issuer that is a list', 'token-claims', issuer.mint({ iss: [issuer.issuer] })],
  ['another issuer', 'token-issuer', issuer.mint({ iss: 'https://evil.test' })],
  ['the issuer with a slash', 'token-issuer', issuer.mint({ iss: `${issuer.issuer}/` })],
  ['the issuer in capitals', 'token-issuer', issuer.mint({ iss: 'https://ISSUER.test' })],
  ['an inherited name as issuer', 'token-issuer', issuer.mint({ iss: 'constructor' })],
  ['no audience', 'token-claims', issuer.mint({ aud: undefined })],
  ['an empty list of audiences', 'token-claims', issuer.mint({ aud: [] })],
  ['an audience that is an object', 'token-claims', issuer.mint({ aud: { 0: issuer.audience } })],
  ['an audience among other things', 'token-claims', issuer.mint({ aud: [issuer.audience, 1] })],
  ['another audience', 'token-audience', issuer.mint({ aud: 'https://other.test' })],
  ['an audience that ours begins', 'token-audience', issuer.mint({ aud: `${issuer.audience}.evil.test` })],
  ['an audience that begins ours', 'token-audience', issuer.mint({ aud: 'https://api' })],
  ['other audiences', 'token-audience', issuer.mint({ aud: ['a', 'b'] })],

  // claims
  ['no subject', 'token-claims', signed(header, without('sub'))],
  ['an empty subject', 'token-claims', issuer.mint({ sub: '' })],
  ['a subject that is a number', 'token-claims', issuer.mint({ sub: 1 })],
  ['a subject that is null', 'token-claims', issuer.mint({ sub: null })],
  ['no exp', 'token-claims', signed(header, without('exp'))],
  ['exp as text', 'token-claims', issuer.mint({ exp: String(NOW + 300) })],
  ['exp null', 'token-claims', issuer.mint({ exp: null })],
  ['exp 1e400', 'token-malformed', signed(header, json(claims).replace(/"exp":\d+/, '"exp":1e400'))],
  ['no iat', 'token-claims', signed(header, without('iat'))],
  ['iat as text', 'token-claims', issuer.mint({ iat: String(NOW) })],
  ['iat -1e400', 'token-malformed', signed(header, json(claims).replace(/"iat":\d+/, '"iat":-1e400'))],
  ['nbf as text', 'token-claims', issuer.mint({ nbf: String(NOW) })],
  ['nbf null', 'token-claims', issuer.mint({ nbf: null })],
  ['an end before its beginning', 'token-claims', issuer.mint({ iat: NOW, exp: NOW - 1 })],
  ['a client_id that is a list', 'token-claims', issuer.mint({ client_id: ['a'] })],
  ['a jti that is a number', 'token-claims', issuer.mint({ jti: 1 })],

  // time
  ['an end in the past', 'token-expired', issuer.mint({ iat: NOW - 3600, exp: NOW - 60 })],
  ['an iat in the future', 'token-not-yet-valid', issuer.mint({ iat: NOW + 61, exp: NOW + 361 })],
  [
    'an iat in the future, and an nbf in the past',
    'token-not-yet-valid',
    issuer.mint({ nbf: NOW - 60, iat: NOW + 61, exp: NOW + 361 }),
  ],
  ['an nbf in the future', 'token-not-yet-valid', issuer.mint({ nbf: NOW + 61 })],
  ['a life of more than a day', 'token-lifetime', issuer.mint({ exp: NOW + 86_401 })],
  ['a life for ever', 'token-lifetime', issuer.mint({ exp: 9_999_999_999 })],

  // binding
  ['a DPoP key', 'token-bound', issuer.mint({ cnf: { jkt: 'abc' } })],
  ['a client certificate', 'token-bound', issuer.mint({ cnf: { 'x5t#S256': 'abc' } })],

  // signature
  ["a stranger's signature", 'token-signature', stranger.mint()],
  [
    'a changed payload',
    'token-signature',
    edit(issuer.mint(), 1, () => b64(json({ ...claims, sub: 'admin' }))),
  ],
  ['a changed header', 'token-signature', edit(issuer.mint(), 0, () => b64(json({ ...header, extra: 1 })))],
  ['a signature of zeros', 'token-signature', edit(issuer.mint(), 2, () => b64(Buffer.alloc(64)))],
  [
    'a signature that is too short',
    'token-signature',
    edit(issuer.mint(), 2, () => b64(Buffer.alloc(63, 1))),
  ],
  [
    'a signature in DER',
    'token-signature',
    edit(issuer.mint(), 2, () =>
      b64(
        Buffer.concat([
          Buffer.from([0x30, 0x44, 2, 32]),
          Buffer.alloc(32, 1),
          Buffer.from([2, 32]),
          Buffer.alloc(32, 1),
        ]),
      ),
    ),
  ],
  [
    'the signature of another token',
    'token-signature',
    `${issuer.mint().split('.').slice(0, 2).join('.')}.${issuer.mint().split('.')[2]!}`,
  ],
  [
    'a secret that differs in its last byte',
    'token-signature',
    hmac(
      { alg: 'HS256', typ: 'at+jwt' },
      { ...claims, iss: 'https://hmac.test' },
      Buffer.concat([secret.export().subarray(0, -1), Buffer.from([0])]),
    ),
  ],
  [
    'an empty secret',
    'token-signature',
    hmac({ alg: 'HS256', typ: 'at+jwt' }, { ...claims, iss: 'https://hmac.test' }, ''),
  ],
  [
    "another issuer's key",
    'token-signature',
    issuer.mint(
      { iss: rsa.issuer },
      { header: { alg: 'RS256', kid: undefined }, key: localIssuer({ algorithm: 'RS256' }).key },
    ),
  ],
]

test.each(hostile)('refuses %s', async (_what, rule, token) => {
  const before = handled()

  const reply = await get('/').set('Authorization', `Bearer ${token}`).expect(401)

  expect(JSON.parse(reply.text)).toMatchObject({ code: 'invalid-token', detail: faults[rule] })
  expect(reply.headers['www-authenticate']).toBe(
    `Bearer realm="api", error="invalid_token", error_description="${faults[rule]}"`,
  )
  expect(reply.headers['cache-control']).toBe('no-store')
  expect(JSON.stringify(reply.headers) + reply.text).not.toContain(token)
  expect(handled()).toBe(before)
})

test('refuses a token in which any one character is another', () =>
  fc.assert(
    fc.asyncProperty(fc.nat(), fc.constantFrom(...'ABMZabmz0189-_.'.split('')), async (at, character) => {
      const token = issuer.mint({ jti: 'fixed' })
      const index = at % token.length
      fc.pre(token[index] !== character)
      const before = handled()
      await get('/')
        .set('Authorization', `Bearer ${token.slice(0, index)}${character}${token.slice(index + 1)}`)
        .expect(401)
      expect(handled()).toBe(before)
    }),
    { numRuns: 150 },
  ))

describe('what only looks hostile passes:', () => {
  test.each([
    ['a typ with its prefix', issuer.mint({}, { header: { typ: 'application/at+jwt' } })],
    ['a typ in capitals', issuer.mint({}, { header: { typ: 'AT+JWT' } })],
    ['unknown header parameters', issuer.mint({}, { header: { x5t: 'abc', foo: { bar: 1 } } })],
    ['our audience among others', issuer.mint({ aud: ['https://other.test', issuer.audience] })],
    ['numbers with fractions', issuer.mint({ iat: NOW - 0.5, exp: NOW + 0.5 })],
    ['a life of exactly a day', issuer.mint({ exp: NOW + 86_400 })],
    ['an iat at the edge of the tolerance', issuer.mint({ iat: NOW + 60, exp: NOW + 300 })],
    ['an end within the tolerance', issuer.mint({ iat: NOW - 300, exp: NOW - 59 })],
    ['white space in the JSON', signed(header, ` ${JSON.stringify(claims, null, 2)}\n`)],
    ['one name in two objects', issuer.mint({ a: { sub: 1 }, b: [{ sub: 2 }, { sub: 3 }] })],
    ['names that only resemble', issuer.mint({ proto: 1, __proto: 2, Sub: 3, constructor: 4 })],
    ['a pair of surrogates', signed(header, json({ ...claims, name: 'X' }).replace('X', '\\ud83d\\ude00'))],
    ['text beyond ASCII', issuer.mint({ sub: 'J\u00fcrgen \u{1f600}', name: '"}],{[' })],
    [
      'claims nested thirty deep',
      signed(header, `${json(claims).slice(0, -1)},"a":${'['.repeat(30)}${']'.repeat(30)}}`),
    ],
    ['no kid', issuer.mint({}, { header: { kid: undefined } })],
    ['no client_id and no jti', issuer.mint({ client_id: undefined, jti: undefined })],
    ['RS256', rsa.mint({}, { header: { kid: 'whatever' } })],
    ['HS256', hmac({ alg: 'HS256', typ: 'at+jwt' }, { ...claims, iss: 'https://hmac.test' }, secret)],
  ])('%s', async (_what, token) => {
    await get('/').set('Authorization', `bEaReR  ${token}`).expect(200)
  })
})
