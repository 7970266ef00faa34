import {
  createHmac,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
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

/** Base64 as it was before base64url. */
const standard = (text: string) => text.replaceAll('-', '+').replaceAll('_', '/')
const deflated = (text: string) => b64(deflateRawSync(Buffer.from(text, 'base64url')))
const jwe = (head: object) =>
  [json(head), 'key', 'iv', 'ciphertext', 'tag'].map((part) => b64(part)).join('.')
const unsigned = (alg: string) => `${b64(json({ ...header, alg }))}.${b64(json(claims))}.`

/** Every way to write a word in capitals and small letters. */
function spellings(word: string): string[] {
  return Array.from({ length: 2 ** word.length }, (_, bits) =>
    Array.from(word, (letter, i) => ((bits >> i) & 1 ? letter.toUpperCase() : letter)).join(''),
  )
}

/** A valid token of exactly so many characters. */
function ofLength(length: number): string {
  const padded = (head: number, body: number) =>
    issuer.mint({ jti: 'j', pad: 'x'.repeat(body) }, { header: { pad: 'x'.repeat(head) } })
  const room = Math.floor(((length - padded(0, 0).length) * 3) / 4)
  // Base64 has no length of 4n + 1, so one part alone cannot be padded to every length.
  const token = [0, 1, 2].flatMap((head) => [0, 1, 2, 3].map((less) => padded(head, room - less)))
  return token.find((one) => one.length === length)!
}

/** A token whose signature is made of what is signed. */
function resigned(make: (input: Buffer) => Buffer): string {
  const [head, payload] = issuer.mint().split('.')
  return `${head!}.${payload!}.${b64(make(Buffer.from(`${head!}.${payload!}`)))}`
}

const p1363 = (input: Buffer, hash = 'sha256') =>
  sign(hash, input, { key: issuer.key, dsaEncoding: 'ieee-p1363' })
const shared = hmac({ alg: 'HS256', typ: 'at+jwt' }, { ...claims, iss: 'https://hmac.test' }, secret)

/** What can be had of a public key, and so could be taken for a secret. */
const publicForms: [string, string | Buffer][] = [
  ['in PEM without its last line break', String(pem(rsa.key)).trim()],
  ['in PEM of PKCS #1', createPublicKey(rsa.key).export({ type: 'pkcs1', format: 'pem' })],
  ['in DER', createPublicKey(rsa.key).export({ type: 'spki', format: 'der' })],
  ['as a JWK', json(createPublicKey(rsa.key).export({ format: 'jwk' }))],
  ['its modulus alone', String(createPublicKey(rsa.key).export({ format: 'jwk' }).n)],
]

/** The order of P-256 (FIPS 186-5, SP 800-186 section 3.2.1.3). */
const ORDER = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
const scalar = (value: number) => Buffer.alloc(32).fill(value, 31)

/** Signatures that careless verifiers take for those of any message (CVE-2022-21449). */
const psychic: [string, Buffer][] = [
  ['0 and 1', Buffer.concat([scalar(0), scalar(1)])],
  ['1 and 0', Buffer.concat([scalar(1), scalar(0)])],
  ['1 and 1', Buffer.concat([scalar(1), scalar(1)])],
  ['the order and the order', Buffer.concat([ORDER, ORDER])],
  ['the order and 1', Buffer.concat([ORDER, scalar(1)])],
  ['1 and the order', Buffer.concat([scalar(1), ORDER])],
  ['nothing but ones', Buffer.alloc(64, 0xff)],
  ['zeros in DER', Buffer.from('3006020100020100', 'hex')],
  ['nothing in DER', Buffer.from('3000', 'hex')],
]

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
  ['no part at all', 'token-malformed', '..'],
  ['a dot in front', 'token-malformed', `.${issuer.mint()}`],
  ['a dot behind', 'token-malformed', `${issuer.mint()}.`],
  ['a header that is cut short', 'token-malformed', edit(issuer.mint(), 0, (text) => text.slice(0, -8))],
  ['a payload that is cut short', 'token-malformed', edit(issuer.mint(), 1, (text) => text.slice(0, -8))],
  ['leftover bits in the header', 'token-malformed', edit(signed(`${json(header)} `), 0, respell)],
  ['standard base64 in the header', 'token-malformed', edit(signed('{"alg":"???>>>"}'), 0, standard)],
  ['standard base64 in the payload', 'token-malformed', edit(signed(header, '{"a":"???>>>"}'), 1, standard)],
  ['a single character as the signature', 'token-malformed', edit(issuer.mint(), 2, () => 'A')],
  ['a JWE with a shared key', 'token-malformed', jwe({ alg: 'dir', enc: 'A256GCM' })],
  ['a JWE for an RSA key', 'token-malformed', jwe({ alg: 'RSA-OAEP-256', enc: 'A256GCM', typ: 'at+jwt' })],
  ['a JWE cut to three parts', 'token-algorithm', edit(issuer.mint(), 0, () => b64('{"alg":"dir"}'))],
  ['a token in the place of claims', 'token-malformed', signed({ ...header, cty: 'JWT' }, issuer.mint())],
  ['a token as a JSON string', 'token-malformed', signed({ ...header, cty: 'JWT' }, json(issuer.mint()))],
  ['claims in DEFLATE', 'token-malformed', edit(signed({ ...header, zip: 'DEF' }), 1, deflated)],
  ['disclosures behind it, as an SD-JWT has', 'token-malformed', `${issuer.mint()}~${b64('["s","a",1]')}~`],
  ['claims in XML', 'token-malformed', signed(header, '<claims/>')],
  ['claims that are null', 'token-malformed', signed(header, 'null')],
  ['claims that are a number', 'token-malformed', signed(header, '1')],
  ['claims with a comment', 'token-malformed', signed(header, `${json(claims)}/**/`)],
  ['claims twice', 'token-malformed', signed(header, `${json(claims)}${json(claims)}`)],
  [
    'claims with a control character',
    'token-malformed',
    signed(header, json(claims).replace('user', 'us\ner')),
  ],
  [
    'an issuer twice',
    'token-malformed',
    signed(header, `{"iss":"https://evil.test",${json(claims).slice(1)}`),
  ],
  ['an audience twice', 'token-malformed', signed(header, `${json(claims).slice(0, -1)},"aud":"x"}`)],
  ['an end twice', 'token-malformed', signed(header, `${json(claims).slice(0, -1)},"exp":9999999999}`)],
  [
    'the same end twice',
    'token-malformed',
    signed(header, `${json(claims).slice(0, -1)},"exp":${NOW + 300}}`),
  ],
  ['a kid twice', 'token-malformed', signed(`${json(header).slice(0, -1)},"kid":"key-2"}`)],
  [
    'an algorithm twice, in escapes',
    'token-malformed',
    signed(`{"\\u0061lg":"none",${json(header).slice(1)}`),
  ],
  [
    'constructor.prototype in the payload',
    'token-malformed',
    signed(header, `${json(claims).slice(0, -1)},"constructor":{"prototype":{"admin":true}}}`),
  ],
  [
    'the name __proto__ in nothing but escapes',
    'token-malformed',
    signed(
      header,
      `{"\\u005f\\u005f\\u0070\\u0072\\u006f\\u0074\\u006f\\u005f\\u005f":1,${json(claims).slice(1)}`,
    ),
  ],
  [
    'a number beyond all numbers in a claim of its own',
    'token-malformed',
    signed(header, `${json(claims).slice(0, -1)},"max_amount":1e400}`),
  ],
  [
    'claims nested one deeper than is accepted',
    'token-malformed',
    signed(header, `${json(claims).slice(0, -1)},"a":${'['.repeat(32)}${']'.repeat(32)}}`),
  ],
  ['a byte more than is accepted', 'token-too-long', ofLength(8193)],

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
  ['a known crit', 'token-header', issuer.mint({}, { header: { crit: ['b64'], b64: true } })],
  ['a crit that names what is not there', 'token-header', issuer.mint({}, { header: { crit: ['nope'] } })],
  ['a crit that is text', 'token-header', issuer.mint({}, { header: { crit: 'exp' } })],
  ['a crit that is null', 'token-header', issuer.mint({}, { header: { crit: null } })],
  [
    'a payload that is not encoded',
    'token-header',
    issuer.mint({}, { header: { b64: false, crit: ['b64'] } }),
  ],
  ['b64 that is true', 'token-header', issuer.mint({}, { header: { b64: true } })],
  ['jku of the true issuer', 'token-header', issuer.mint({}, { header: { jku: `${issuer.issuer}/jwks` } })],
  ['jku that is empty', 'token-header', issuer.mint({}, { header: { jku: '' } })],
  ['jku into this machine', 'token-header', issuer.mint({}, { header: { jku: 'http://127.0.0.1:22/' } })],
  ['jku of a file', 'token-header', issuer.mint({}, { header: { jku: 'file:///etc/passwd' } })],
  ['x5u that is null', 'token-header', issuer.mint({}, { header: { x5u: null } })],
  ['x5c that is empty', 'token-header', issuer.mint({}, { header: { x5c: [] } })],
  ['the true key in its header', 'token-header', issuer.mint({}, { header: { jwk: issuer.jwks.keys[0] } })],
  [
    'a secret in its header that it is signed with',
    'token-header',
    hmac({ ...header, alg: 'HS256', jwk: { kty: 'oct', k: b64('evil') } }, claims, 'evil'),
  ],
  ['a kid that is true', 'token-header', issuer.mint({}, { header: { kid: true } })],
  ['a kid that is an object', 'token-header', issuer.mint({}, { header: { kid: { toString: 'key-1' } } })],

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
  ...spellings('none').map((alg): [string, Fault, string] => [
    `alg ${alg}, signed with a true key`,
    'token-algorithm',
    issuer.mint({ jti: alg }, { header: { alg }, algorithm: 'ES256' }),
  ]),
  ['alg none without a signature', 'token-malformed', issuer.mint({}, { header: { alg: 'none' } })],
  ['alg NONE without a signature', 'token-malformed', issuer.mint({}, { header: { alg: 'NONE' } })],
  ['alg none without a signature or its dot', 'token-malformed', unsigned('none').slice(0, -1)],
  ['alg none with a space', 'token-algorithm', `${unsigned('none ')}AAAA`],
  ['alg none behind a zero byte', 'token-algorithm', `${unsigned('none\0')}AAAA`],
  ['alg none with wide letters', 'token-algorithm', `${unsigned('\uff4eone')}AAAA`],
  ['alg that is empty', 'token-algorithm', `${unsigned('')}AAAA`],
  ...[null, 0, true, {}, ['none']].map((alg): [string, Fault, string] => [
    `alg ${json(alg)}`,
    'token-algorithm',
    issuer.mint({}, { header: { alg }, algorithm: 'ES256' }),
  ]),
  ...['ES256\0', ' ES256', 'ES256,none', 'ES\u200b256', 'Es256', 'ED25519', '__proto__', 'constructor'].map(
    (alg): [string, Fault, string] => [
      `alg ${json(alg)}`,
      'token-algorithm',
      issuer.mint({}, { header: { alg }, algorithm: 'ES256' }),
    ],
  ),
  ...['HS1', 'HS256/64', 'RSA1_5', 'RSA-OAEP', 'A128KW', 'dir', 'ECDH-ES', 'PBES2-HS256+A128KW', 'Ed448'].map(
    (alg): [string, Fault, string] => [
      `${alg}, which signs nothing here`,
      'token-algorithm',
      `${b64(json({ ...header, alg }))}.${b64(json(claims))}.${b64(Buffer.alloc(64, 1))}`,
    ],
  ),
  ...publicForms.map(([what, bytes]): [string, Fault, string] => [
    `HS256 with the public RSA key as the secret, ${what}`,
    'token-algorithm',
    hmac({ ...header, alg: 'HS256' }, { ...claims, iss: rsa.issuer }, bytes),
  ]),
  [
    'HS512 with the public key as the secret',
    'token-algorithm',
    hmac({ ...header, alg: 'HS512' }, claims, pem(issuer.key)),
  ],
  [
    'HS384 where HS256 is shared',
    'token-algorithm',
    signToken({ alg: 'HS384', typ: 'at+jwt' }, { ...claims, iss: 'https://hmac.test' }, secret, 'HS384'),
  ],
  [
    'RS256 where a secret is shared',
    'token-algorithm',
    rsa.mint({ iss: 'https://hmac.test' }, { header: { kid: undefined } }),
  ],

  // name of the key
  ...[
    'key-2',
    'KEY-1',
    ' key-1',
    'key-1 ',
    'key-1\0',
    '/dev/null',
    '../../../../dev/null',
    '..\\..\\nul',
    'file:///dev/null',
    'https://evil.test/jwks.json',
    "x' UNION SELECT 'secret' -- ",
    '$(sleep 9)',
    '| cat /etc/passwd',
    '*',
    '__proto__',
    'constructor',
    'toString',
    'key-1\r\nX-Evil: 1',
  ].map((kid): [string, Fault, string] => [
    `kid ${json(kid)}`,
    'token-key',
    issuer.mint({}, { header: { kid } }),
  ]),
  [
    'a kid that names an empty file, signed with nothing',
    'token-algorithm',
    hmac({ ...header, alg: 'HS256', kid: '../../dev/null' }, claims, ''),
  ],

  // type
  ['no typ', 'token-type', issuer.mint({}, { header: { typ: undefined } })],
  ['typ JWT, as ID tokens have', 'token-type', issuer.mint({}, { header: { typ: 'JWT' } })],
  ['a DPoP proof', 'token-type', issuer.mint({}, { header: { typ: 'dpop+jwt' } })],
  ['a logout token', 'token-type', issuer.mint({}, { header: { typ: 'logout+jwt' } })],
  ['typ with more behind it', 'token-type', issuer.mint({}, { header: { typ: 'at+jwt;x=1' } })],
  ['typ as a list', 'token-type', issuer.mint({}, { header: { typ: ['at+jwt'] } })],
  ['typ null', 'token-type', issuer.mint({}, { header: { typ: null } })],
  ...[
    'jwt',
    'application/jwt',
    'application/application/at+jwt',
    'text/at+jwt',
    'at+jwt ',
    ' at+jwt',
    'at jwt',
    'at+jwt\0',
    'at+j\u200bwt',
    'rt+jwt',
    'id_token+jwt',
    'secevent+jwt',
    'oauth-authz-req+jwt',
    'token-introspection+jwt',
    'client-authentication+jwt',
    'entity-statement+jwt',
    'dc+sd-jwt',
    'kb+jwt',
    'JOSE',
    '',
    '__proto__',
  ].map((typ): [string, Fault, string] => [
    `typ ${json(typ)}`,
    'token-type',
    issuer.mint({}, { header: { typ } }),
  ]),
  ['typ as a number', 'token-type', issuer.mint({}, { header: { typ: 1 } })],
  ['typ as an object', 'token-type', issuer.mint({}, { header: { typ: { toString: 'at+jwt' } } })],

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
  ...[null, 1, true, {}, { name: 'x' }].map((iss): [string, Fault, string] => [
    `iss ${json(iss)}`,
    'token-claims',
    issuer.mint({ iss }),
  ]),
  ...['', ' ', ':443', '.', '?', '#', '@evil.test', '.evil.test', '\0', '/../'].map(
    (more): [string, Fault, string] => [
      `the issuer with ${json(more)} behind it`,
      'token-issuer',
      issuer.mint({ iss: more === '' ? '' : `${issuer.issuer}${more}` }),
    ],
  ),
  ['the issuer with http', 'token-issuer', issuer.mint({ iss: issuer.issuer.replace('https', 'http') })],
  ['a beginning of the issuer', 'token-issuer', issuer.mint({ iss: issuer.issuer.slice(0, -1) })],
  ['the issuer behind a space', 'token-issuer', issuer.mint({ iss: ` ${issuer.issuer}` })],
  ...[
    null,
    1,
    true,
    {},
    '',
    [null],
    [[issuer.audience]],
    [{}],
    [issuer.audience, ''],
    [issuer.audience, null],
  ].map((aud): [string, Fault, string] => [`aud ${json(aud)}`, 'token-claims', issuer.mint({ aud })]),
  ...['/', ' ', ':443', '#', '?', '\0', ',https://other.test'].map((more): [string, Fault, string] => [
    `the audience with ${json(more)} behind it`,
    'token-audience',
    issuer.mint({ aud: `${issuer.audience}${more}` }),
  ]),
  ['the audience in capitals', 'token-audience', issuer.mint({ aud: issuer.audience.toUpperCase() })],
  ['the audience in percent-encoding', 'token-audience', issuer.mint({ aud: 'https://%61pi.test' })],
  ['a wildcard as audience', 'token-audience', issuer.mint({ aud: ['*', 'https://*.test'] })],
  ['an inherited name as audience', 'token-audience', issuer.mint({ aud: ['includes', '__proto__'] })],
  ['a thousand audiences', 'token-audience', issuer.mint({ aud: Array(1000).fill('x') })],

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
  ...[0, -1, -1e308, false, true, '', [], [NOW + 300], {}, { exp: NOW + 300 }, '1e400', 'Infinity'].map(
    (exp): [string, Fault, string] => [`exp ${json(exp)}`, 'token-claims', issuer.mint({ exp })],
  ),
  ...[null, true, '', [NOW], {}].map((iat): [string, Fault, string] => [
    `iat ${json(iat)}`,
    'token-claims',
    issuer.mint({ iat }),
  ]),
  ...[true, '', [NOW], {}, '0'].map((nbf): [string, Fault, string] => [
    `nbf ${json(nbf)}`,
    'token-claims',
    issuer.mint({ nbf }),
  ]),
  ['an iat far in the future', 'token-claims', issuer.mint({ iat: 9e15 })],
  [
    'a number that is no JSON',
    'token-malformed',
    signed(header, json(claims).replace(/"exp":\d+/, '"exp":NaN')),
  ],
  [
    'an exp in hexadecimal',
    'token-malformed',
    signed(header, json(claims).replace(/"exp":\d+/, '"exp":0x7fffffff')),
  ],
  ['an exp with a plus', 'token-malformed', signed(header, json(claims).replace('"exp":', '"exp":+'))],
  ['exp -1e400', 'token-malformed', signed(header, json(claims).replace(/"exp":\d+/, '"exp":-1e400'))],
  ['nbf 1e400', 'token-malformed', signed(header, `${json(claims).slice(0, -1)},"nbf":1e400}`)],
  ...[true, [], {}, ['user-1']].map((sub): [string, Fault, string] => [
    `sub ${json(sub)}`,
    'token-claims',
    issuer.mint({ sub }),
  ]),
  ['a client_id that is empty', 'token-claims', issuer.mint({ client_id: '' })],
  ['a jti that is null', 'token-claims', issuer.mint({ jti: null })],

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
  ['an end that has just come', 'token-expired', issuer.mint({ iat: NOW - 300, exp: NOW - 60 })],
  ['an end long ago', 'token-expired', issuer.mint({ iat: 1, exp: 2 })],
  ['an end before 1970', 'token-expired', issuer.mint({ iat: -1000, exp: -1 })],
  ['an nbf in the future by a fraction', 'token-not-yet-valid', issuer.mint({ nbf: NOW + 60.5 })],
  ['an nbf far in the future', 'token-not-yet-valid', issuer.mint({ nbf: Number.MAX_SAFE_INTEGER })],
  ['an iat of 0', 'token-lifetime', issuer.mint({ iat: 0 })],
  ['an iat before 1970', 'token-lifetime', issuer.mint({ iat: -1 })],
  ['an iat before the universe', 'token-lifetime', issuer.mint({ iat: -1e308 })],
  ['an exp in milliseconds', 'token-lifetime', issuer.mint({ exp: (NOW + 300) * 1000 })],
  ['an exp of 1e308', 'token-lifetime', issuer.mint({ exp: 1e308 })],
  ['a life of a day and a fraction', 'token-lifetime', issuer.mint({ exp: NOW + 86_400.5 })],

  // binding
  ['a DPoP key', 'token-bound', issuer.mint({ cnf: { jkt: 'abc' } })],
  ['a client certificate', 'token-bound', issuer.mint({ cnf: { 'x5t#S256': 'abc' } })],
  ['a binding that is empty', 'token-bound', issuer.mint({ cnf: {} })],
  ['a binding that is null', 'token-bound', issuer.mint({ cnf: null })],

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
  ...psychic.map(([what, bytes]): [string, Fault, string] => [
    `an ECDSA signature of ${what}`,
    'token-signature',
    edit(issuer.mint({ sub: what }), 2, () => b64(bytes)),
  ]),
  ['the right signature, in DER', 'token-signature', resigned((input) => sign('sha256', input, issuer.key))],
  [
    'the right signature with a zero in front',
    'token-signature',
    resigned((input) => Buffer.concat([Buffer.from([0]), p1363(input)])),
  ],
  [
    'the right signature with a zero behind',
    'token-signature',
    resigned((input) => Buffer.concat([p1363(input), Buffer.from([0])])),
  ],
  ['half of the right signature', 'token-signature', resigned((input) => p1363(input).subarray(0, 32))],
  [
    'its halves the wrong way round',
    'token-signature',
    resigned((input) => Buffer.concat([p1363(input).subarray(32), p1363(input).subarray(0, 32)])),
  ],
  [
    'a signature over the claims alone',
    'token-signature',
    resigned((input) => p1363(Buffer.from(input.toString().split('.')[1]!))),
  ],
  ['a signature of another hash', 'token-signature', resigned((input) => p1363(input, 'sha512'))],
  ...['P-384', 'P-521', 'secp256k1'].map((namedCurve): [string, Fault, string] => [
    `a signature on ${namedCurve}`,
    'token-signature',
    signToken(header, claims, generateKeyPairSync('ec', { namedCurve }).privateKey, 'ES256'),
  ]),
  [
    'a signature of Ed25519',
    'token-signature',
    signToken(header, claims, generateKeyPairSync('ed25519').privateKey, 'EdDSA'),
  ],
  ['a signature of HMAC under ES256', 'token-signature', hmac(header, claims, pem(issuer.key))],
  [
    'PSS in the place of PKCS #1',
    'token-signature',
    rsa.mint({}, { header: { kid: undefined }, algorithm: 'PS256' }),
  ],
  [
    'PKCS #1 in the place of PSS',
    'token-signature',
    rsa.mint({}, { header: { alg: 'PS256', kid: undefined }, algorithm: 'RS256' }),
  ],
  [
    'RS512 in the place of RS256',
    'token-signature',
    rsa.mint({}, { header: { kid: undefined }, algorithm: 'RS512' }),
  ],
  ...[0, 1, 255, 257, 1024].map((length): [string, Fault, string] => [
    `an RSA signature of ${length} bytes`,
    length === 0 ? 'token-malformed' : 'token-signature',
    edit(rsa.mint({}, { header: { kid: undefined } }), 2, () => b64(Buffer.alloc(length, 0xff))),
  ]),
  ...[
    'secret',
    'password',
    'changeme',
    'your-256-bit-secret',
    'a-string-secret-at-least-256-bits-long',
    'super-secret-jwt-token-with-at-least-32-characters-long',
    '0'.repeat(32),
    'undefined',
    '[object Object]',
  ].map((known): [string, Fault, string] => [
    `the secret ${known}`,
    'token-signature',
    hmac({ alg: 'HS256', typ: 'at+jwt' }, { ...claims, iss: 'https://hmac.test' }, known),
  ]),
  [
    'half of an HMAC',
    'token-signature',
    edit(shared, 2, (text) => b64(Buffer.from(text, 'base64url').subarray(0, 16))),
  ],
  [
    'an HMAC in hex',
    'token-signature',
    edit(shared, 2, (text) => b64(Buffer.from(text, 'base64url').toString('hex'))),
  ],
  [
    'an HMAC with more behind it',
    'token-signature',
    edit(shared, 2, (text) => `${text}A`.slice(0, -1) + 'AAAA'),
  ],
]

test('the table is as long as it has to be, and has nothing twice', () => {
  expect(hostile.length).toBeGreaterThanOrEqual(120)
  expect(new Set(hostile.map(([what]) => what)).size).toBe(hostile.length)
  expect(new Set(hostile.map(([, , token]) => token)).size).toBe(hostile.length)
})

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
    ['as many bytes as are accepted', ofLength(8192)],
    ['an nbf in the past', issuer.mint({ nbf: -1 })],
    ['an nbf with a fraction', issuer.mint({ nbf: NOW - 0.5 })],
    ['a cty and a zip that change nothing', issuer.mint({}, { header: { cty: 'x', zip: 'y', enc: 'z' } })],
    ['numbers at the edge of a double', issuer.mint({ most: Number.MAX_VALUE, least: Number.MIN_VALUE })],
    ['our audience twice', issuer.mint({ aud: [issuer.audience, issuer.audience] })],
    ['an actor, and who may act', issuer.mint({ act: { sub: 'x' }, may_act: { sub: 'y' } })],
    [
      'the other of the two signatures that ECDSA has for each message',
      resigned((input) => {
        const good = p1363(input)
        const s = BigInt(`0x${ORDER.toString('hex')}`) - BigInt(`0x${good.subarray(32).toString('hex')}`)
        return Buffer.concat([good.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
      }),
    ],
    ['no kid', issuer.mint({}, { header: { kid: undefined } })],
    ['no client_id and no jti', issuer.mint({ client_id: undefined, jti: undefined })],
    ['RS256', rsa.mint({}, { header: { kid: 'whatever' } })],
    ['HS256', hmac({ alg: 'HS256', typ: 'at+jwt' }, { ...claims, iss: 'https://hmac.test' }, secret)],
  ])('%s', async (_what, token) => {
    await get('/').set('Authorization', `bEaReR  ${token}`).expect(200)
  })
})
