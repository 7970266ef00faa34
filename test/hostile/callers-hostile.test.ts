import { readFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import request from 'supertest'
import type { Log } from '../../src/kernel/ports.js'
import { asSession } from '../../src/testing/index.js'
import { signToken } from '../../src/testing/sign.js'
import { sendRaw } from '../support/raw.js'
import { knowsEverybody, ORIGIN, type Everybody, type Fields } from './support/callers.js'
import { POISONS, prototypes } from './support/pollution.js'

const directory = mkdtempSync(join(tmpdir(), 'secure-api-callers-'))
const file = join(directory, 'audit')
const said: string[] = []
const keep = (...seen: unknown[]) => void said.push(inspect(seen, { depth: 9 }))
const log: Log = { info: keep, warn: keep, error: keep }
const before = prototypes()

let everybody: Everybody
beforeAll(async () => {
  everybody = await knowsEverybody({ log, audit: { file } })
})
beforeEach(() => (said.length = 0))
afterEach(() => {
  expect(said.filter((entry) => /broken|failed|TypeError|RangeError|SyntaxError/.test(entry))).toEqual([])
  expect(prototypes()).toEqual(before)
})
afterAll(async () => {
  await everybody.close()
  const lines = readFileSync(file, 'latin1').split('\n').slice(0, -1)
  rmSync(directory, { recursive: true })
  expect(lines.length).toBeGreaterThan(100)
  expect(lines.filter((line) => !CLEAN.test(line) || !isObject(JSON.parse(line)))).toEqual([])
})

/** Nothing that a line of HTTP or a terminal takes for more than text. */
const CLEAN = /^[\x20-\x7e]*$/
const isObject = (value: unknown) => typeof value === 'object' && value !== null
const utf8 = (text: string) => Buffer.from(text).toString('latin1')

const raw = (line: string, fields: string, body = '') =>
  sendRaw(
    everybody.server,
    `${line} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`,
    true,
  )

/** @returns the code of the refusal, where it is ours and not the parser's */
async function isRefused(line: string, fields: string, body = ''): Promise<string | undefined> {
  const ran = everybody.handled()
  const { status, head, body: text } = await raw(line, fields, body)
  expect([status >= 400 && status < 500, status, line, fields]).toEqual([true, status, line, fields])
  expect(head.replaceAll('\r\n', ' ')).toMatch(CLEAN)
  expect(text.replaceAll('\r\n', ' ')).toMatch(CLEAN)
  expect(head).not.toMatch(/^x-evil/im)
  expect(everybody.handled()).toBe(ran)
  return text === '' ? undefined : (JSON.parse(text) as { code: string }).code
}

const NASTY: [what: string, text: string][] = [
  ['CRLF and a header', 'a\r\nX-Evil: 1'],
  ['LF', 'a\nX-Evil: 1'],
  ['CR', 'a\rb'],
  ['a zero byte', 'a\0b'],
  ['a bell', 'a\x07b'],
  ['DEL', 'a\x7fb'],
  ['NEL', 'a\u0085b'],
  ['CSI of C1', 'a\u009b31mb'],
  ['ANSI colours', 'a\x1b[31mb\x1b[0m'],
  ['U+2028', 'a\u2028b'],
  ['an override of direction', 'a\u202eb'],
  ['quotes', 'a", error="none'],
  ['a backslash', 'a\\'],
  ['a script', '<script>alert(1)</script>'],
  ['an inherited name', '__proto__'],
]

/** What a field can carry of it: a client that breaks lines has sent another field, or a request that Node refuses. */
const inField = (text: string) => utf8(text.replace(/[\r\n\0]/g, ' '))
const base64 = (text: string) => Buffer.from(text).toString('base64')
const as = (fields: Fields) =>
  Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
const known = () => as(everybody.ways['bearer']!().fields)
const JSON_TYPE = 'Content-Type: application/json\r\n'
const FORM_TYPE = 'Content-Type: application/x-www-form-urlencoded\r\n'
const asciiJson = (value: unknown) =>
  JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

describe.each(NASTY)('%s', (_what, text) => {
  test.each<[where: string, line: string, fields: () => string]>([
    ['the name of a user', 'GET /orders', () => `Authorization: Basic ${base64(`${text}:x`)}\r\n`],
    ['a password', 'GET /orders', () => `Authorization: Basic ${base64(`ann:${text}`)}\r\n`],
    ['credentials of Basic', 'GET /orders', () => `Authorization: Basic ${inField(text)}\r\n`],
    ['an API key', 'GET /orders', () => `X-API-Key: ${inField(text)}\r\n`],
    ['the id of a session', 'GET /orders', () => `Cookie: __Host-session=${inField(text)}\r\n`],
    ['a certificate', 'GET /orders', () => `Client-Cert: ${inField(text)}\r\n`],
    ['the bytes of a certificate', 'GET /orders', () => `Client-Cert: :${base64(text)}:\r\n`],
    ['a proof', 'GET /orders', () => as({ ...everybody.ways['dpop']!().fields, DPoP: inField(text) })],
    [
      'the nonce of a proof, in its key, and in its URL',
      'GET /orders',
      () => {
        const token = everybody.issuer.mint({ cnf: { jkt: everybody.client.jkt } })
        const odd = { claims: { htu: text, jti: text, nonce: text }, header: { kid: text, typ: text } }
        return as(everybody.client.fields('GET', ORIGIN, token, odd))
      },
    ],
    ['a return path', `GET /sso/login?return_to=${encodeURIComponent(`//${text}`)}`, () => ''],
    ['a state', `GET /callback?state=${encodeURIComponent(text)}&code=c`, () => ''],
    [
      'an error of the provider',
      `GET /callback?state=x&error=${encodeURIComponent(text)}&error_description=${encodeURIComponent(text)}`,
      () => `Cookie: __Host-sso=${inField(text)}\r\n`,
    ],
  ])(
    'as %s is refused, and stands in nothing that is sent or kept as it is',
    async (_where, line, fields) => {
      await isRefused(line, fields())
    },
  )

  test.each<[where: string, path: string, type: string, body: string]>([
    ['a refresh token', '/refresh', JSON_TYPE, asciiJson({ refresh_token: text })],
    ['a scope', '/refresh', JSON_TYPE, asciiJson({ refresh_token: 'x', scope: text, client_id: text })],
    ['a grant', '/token', FORM_TYPE, `grant_type=${encodeURIComponent(text)}&refresh_token=x`],
    ['a logout token', '/sso/out', FORM_TYPE, `logout_token=${encodeURIComponent(text)}`],
    ['a code', '/totp/verify', JSON_TYPE, asciiJson({ code: text })],
    ['a recovery code', '/totp/verify', JSON_TYPE, asciiJson({ recovery_code: text })],
    [
      'a passkey',
      '/passkeys/authenticate',
      JSON_TYPE,
      asciiJson({ credential: { id: text, rawId: text, type: text, response: { clientDataJSON: text } } }),
    ],
    ['a member', '/passkeys/authenticate', JSON_TYPE, asciiJson({ [text]: text })],
  ])('as %s, too', async (_where, path, type, body) => {
    await isRefused(`POST ${path}`, known() + type, body)
  })

  test('in what an issuer says of a caller is kept as text, if it is taken at all', async () => {
    const { issuer, provider, now } = everybody
    const names = { sub: text, client_id: text, acr: text, amr: [text], scope: text, roles: [text] }
    provider.said = () => ({
      active: true,
      iss: 'https://opaque.test',
      aud: issuer.audience,
      ...names,
      iat: now(),
      exp: now() + 60,
    })
    for (const fields of [
      { Authorization: `Bearer ${issuer.mint(names)}` },
      everybody.ways['introspection']!().fields,
    ]) {
      for (const path of ['/orders', '/fresh']) {
        const { status, head, body } = await raw(`GET ${path}`, as(fields))
        expect([200, 401, 403]).toContain(status)
        expect(head.replaceAll('\r\n', ' ')).toMatch(CLEAN)
        if (status !== 200) expect(body.replaceAll('\r\n', ' ')).toMatch(CLEAN)
      }
    }
  })

  test('in what an application says of a caller is refused, or kept as text', async () => {
    const { sessions, keys, own } = everybody
    const tries = [
      () => keys.create({ owner: text, name: text }),
      () => own.issue({ subject: text, clientId: text, claims: { [text]: text } }),
      () => sessions.list({ issuer: text, subject: text }),
    ]
    for (const attempt of tries) {
      const outcome = await attempt().then(
        () => 'taken',
        (error: unknown) => (error as Error).message,
      )
      expect(outcome).toMatch(CLEAN)
    }
  })
})

describe('a poison', () => {
  test.each(POISONS)('%s in a body of an endpoint is refused', async (poison) => {
    for (const path of [
      '/refresh',
      '/revoke',
      '/totp/verify',
      '/totp/confirm',
      '/passkeys/register',
      '/passkeys/authenticate',
    ]) {
      for (const body of [poison, `{"a":[${poison}],"code":"1","refresh_token":"x","credential":${poison}}`])
        expect(await isRefused(`POST ${path}`, known() + JSON_TYPE, body)).toBe('malformed-body')
    }
  })

  test.each(['__proto__=1', '%5f_proto__=1', 'a=b&__proto__=c'])('%s in a form is refused', async (form) => {
    for (const path of ['/token', '/revoke', '/sso/out'])
      expect(
        await isRefused(`POST ${path}`, known() + FORM_TYPE, `${form}&grant_type=refresh_token&token=x`),
      ).toBe('malformed-parameter')
  })

  test.each(POISONS)('%s in a proof of possession is refused', async (poison) => {
    const { client, issuer } = everybody
    const token = issuer.mint({ cnf: { jkt: client.jkt } })
    const odd = JSON.parse(poison) as Record<string, unknown>
    for (const how of [{ claims: odd }, { header: odd }, { claims: { more: [odd] } }])
      await isRefused('GET /orders', as(client.fields('GET', `${ORIGIN}/orders`, token, how)))
  })

  test.each(POISONS)('%s in what an issuer says of an opaque token is no answer', async (poison) => {
    const { provider, issuer, now } = everybody
    const sound = {
      active: true,
      iss: 'https://opaque.test',
      aud: issuer.audience,
      sub: 'a',
      client_id: 'b',
      iat: now(),
      exp: now() + 60,
    }
    everybody.clock.advance(120_000)
    provider.said = () => JSON.parse(`${JSON.stringify(sound).slice(0, -1)},${poison.slice(1)}`) as object
    const { status } = await raw('GET /orders', as(everybody.ways['introspection']!().fields))
    expect([401, 503]).toContain(status)
    // Whoever gave no answer is asked again a second later.
    provider.said = () => ({ ...sound, iat: now(), exp: now() + 60 })
    everybody.clock.advance(2_000)
    expect((await raw('GET /orders', as(everybody.ways['introspection']!().fields))).status).toBe(200)
  })

  test.each(POISONS)('%s in an ID token or a logout token opens and ends nothing', async (poison) => {
    const { provider, issuer, server } = everybody
    const iss = 'https://provider.test'
    const signed = (claims: object, typ: string) =>
      signToken(
        { alg: 'ES256', kid: 'key-1', typ },
        `${JSON.stringify({ iss, aud: issuer.audience, ...claims }).slice(0, -1)},${poison.slice(1)}`,
        issuer.key,
        'ES256',
      )
    const times = { iat: everybody.now(), exp: everybody.now() + 60 }
    const begun = await request(server).get('/sso/login').redirects(0).expect(303)
    const sent = new URL(begun.headers['location']!).searchParams
    const nonce = sent.get('nonce')!
    provider.answer = () => ({ id_token: signed({ sub: 'ann', nonce, ...times }, 'JWT') })
    const cookie = (begun.headers['set-cookie'] as unknown as string[])[0]!.split(';')[0]!
    const reply = await request(server)
      .get(`/callback?code=c&state=${sent.get('state')!}`)
      .set('Cookie', cookie)
      .redirects(0)
      .ok(() => true)
    // What opens a session has none of it: see below.
    expect([303, 403]).toContain(reply.status)
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
    const token = signed({ sub: 'ann', jti: 'one', events, ...times }, 'logout+jwt')
    await isRefused('POST /sso/out', FORM_TYPE, `logout_token=${token}`)
  })

  test.each(POISONS)(
    '%s in claims that an application gives is a claim, and nothing that is inherited',
    async (poison) => {
      const { own, principal, sessions } = everybody
      const claims = JSON.parse(poison) as Record<string, unknown>
      const outcome = await own.issue({ subject: 'ann', claims }).then(
        async ({ access_token: token }) =>
          (await raw('GET /orders', `Authorization: Bearer ${token}\r\n`)).status,
        () => 'refused',
      )
      // Our own `bearer` takes no such token.
      expect(outcome).toBe(401)

      const { Cookie } = await asSession(sessions, { subject: 'ann', claims })
      expect((await raw('GET /orders', `Cookie: ${Cookie}\r\n`)).status).toBe(200)
      expect(Object.keys(principal()!.claims)).toEqual([...Object.keys(claims), 'session_id'])
      expect('polluted' in principal()!.claims).toBe(false)
    },
  )
})

test('whatever somebody sends to be known by, it is answered, and opens nothing', async () => {
  const of = (...pieces: string[]) =>
    fc
      .array(
        fc.oneof(
          { weight: 9, arbitrary: fc.constantFrom(...pieces) },
          fc.string({ unit: 'binary', maxLength: 3 }),
        ),
        { maxLength: 12 },
      )
      .map((parts) => inField(parts.join('')))
  const b64 = (value: string) => Buffer.from(value).toString('base64url')
  const jwt = [
    b64('{"alg":"ES256","typ":"dpop+jwt","jwk":{}}'),
    '.',
    b64('{"htm":"GET"}'),
    b64('{}'),
    'e30',
    'AAAA',
  ]
  const field = fc.oneof(
    fc.tuple(
      fc.constant('Authorization'),
      of('Basic ', 'Bearer ', 'DPoP ', 'ApiKey ', base64('ann:x'), ':', '=', ',', '"', ' ', ...jwt),
    ),
    fc.tuple(fc.constant('DPoP'), of(...jwt, ',', ' ')),
    fc.tuple(fc.constant('X-API-Key'), of('apikey', '_', 'A'.repeat(22), '0', 'z', '-')),
    fc.tuple(
      fc.constant('Cookie'),
      fc
        .array(
          fc.tuple(
            fc.constantFrom('__Host-session', '__Host-csrf', '__Host-passkey', '__Host-sso'),
            of('A'.repeat(43), '.', '"', '=', ';', ' '),
          ),
          {
            maxLength: 3,
          },
        )
        .map((pairs) => pairs.map((pair) => pair.join('=')).join('; ')),
    ),
    fc.tuple(fc.constant('Client-Cert'), of(':', 'MII', '=', 'A'.repeat(64), ',', ';', ' ')),
    fc.tuple(fc.constant('X-CSRF-Token'), of('A'.repeat(22), '.', 'A'.repeat(43))),
    fc.tuple(fc.constant('Origin'), of('https://', 'null', 'app.example.com', ':443', '/')),
    fc.tuple(fc.constant('Sec-Fetch-Site'), of('same-origin', 'none', 'cross-site', ',')),
    fc.tuple(fc.constantFrom('X-Forwarded-For', 'X-Forwarded-Proto'), of('https', '203.0.113.1', ',', ' ')),
  )
  const target = fc.oneof(
    fc.constantFrom(
      'GET /orders',
      'POST /orders',
      'GET /fresh',
      'GET /csrf',
      'POST /totp/verify',
      'POST /passkeys/register',
    ),
    of('state', 'code', 'iss', 'error', 'return_to', '=', '&', '%2f', '%', '%ff', '/', '\\', 'a').map(
      (query) => `GET /callback?${query.replace(/[^!-~]/g, '')}`,
    ),
  )
  await fc.assert(
    fc.asyncProperty(
      target,
      fc.uniqueArray(field, { maxLength: 4, selector: ([name]) => name }),
      async (line, fields) => {
        await isRefused(line, as(Object.fromEntries(fields)) + JSON_TYPE, line.startsWith('POST') ? '{}' : '')
      },
    ),
    { numRuns: 600 },
  )
})

test('whatever somebody sends to an endpoint, it is answered', async () => {
  const members =
    'code recovery_code refresh_token scope client_id token credential name id grant_type logout_token'.split(
      ' ',
    )
  const value = fc.oneof(
    fc.json({ maxDepth: 3 }),
    fc.constantFrom('"x"', '{"id":"AAAA","response":{}}', '"000000"', '1e999', '"\\ud800"'),
  )
  const json = fc
    .array(fc.tuple(fc.constantFrom(...members), value), { maxLength: 4 })
    .map((pairs) => `{${pairs.map(([name, one]) => `"${name}":${one}`).join()}}`)
  const form = fc
    .array(
      fc.tuple(fc.constantFrom(...members), fc.constantFrom('refresh_token', 'x', '%', '%ff', 'a.b.c', '')),
      { maxLength: 4 },
    )
    .map((pairs) => pairs.map((pair) => pair.join('=')).join('&'))
  const paths = fc.constantFrom(
    ...[
      '/token',
      '/refresh',
      '/revoke',
      '/sso/out',
      '/totp/enrol',
      '/totp/confirm',
      '/totp/verify',
      '/totp/renew',
      '/totp/remove',
    ],
    ...['/passkeys/register', '/passkeys/authenticate', '/passkeys/login', '/passkeys/remove'],
  )
  await fc.assert(
    fc.asyncProperty(paths, fc.boolean(), json, form, async (path, isForm, object, text) => {
      const body = utf8(isForm ? text : object)
      const {
        status,
        head,
        body: answer,
      } = await raw(`POST ${path}`, known() + (isForm ? FORM_TYPE : JSON_TYPE), body)
      expect([status < 500, path, body]).toEqual([true, path, body])
      expect((head + (status < 400 ? '' : answer)).replaceAll('\r\n', ' ')).toMatch(CLEAN)
    }),
    { numRuns: 400 },
  )
})
