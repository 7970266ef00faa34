import { testApi } from '../support/api.js'
import { wireTo, type Wire } from './support/wire.js'

const made = testApi({ rateLimit: false })
const token = made.issuer.mint()
const utf8 = (text: string) => Buffer.from(text).toString('latin1')

let wire: Wire
beforeAll(async () => {
  wire = await wireTo(made.api)
})
afterAll(() => wire.close())
beforeEach(() => (wire.handled.length = 0))

const ask = (lines: string, target = '/') =>
  wire.say(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n\r\n`)

async function refused(lines: string, target?: string) {
  const replies = await ask(lines, target)
  expect(replies).toHaveLength(1)
  expect(wire.handled).toEqual([])
  const [{ status, headers, body }] = replies as [(typeof replies)[0]]
  expect(headers['cache-control']).toBe('no-store')
  expect(JSON.stringify(headers) + body).not.toContain(token)
  return { status, code: (JSON.parse(body) as { code: string }).code, challenge: headers['www-authenticate'] }
}

describe('no credential that anybody here knows: 401 with a challenge that names no error', () => {
  test.each([
    ['nothing', 'X: y'],
    ['an empty field', 'Authorization:'],
    ['a field of spaces', 'Authorization:    '],
    ['the token alone', `Authorization: ${token}`],
    ['Basic', 'Authorization: Basic YTpi'],
    ['Basic with the token', `Authorization: Basic ${token}`],
    ['Digest', 'Authorization: Digest username="a", response="b"'],
    ['Negotiate', `Authorization: Negotiate ${token}`],
    ['DPoP', `Authorization: DPoP ${token}`],
    ['Token', `Authorization: Token ${token}`],
    ['JWT', `Authorization: JWT ${token}`],
    ['MAC', `Authorization: MAC id="${token}"`],
    ['a scheme that begins like ours', `Authorization: Bearers ${token}`],
    ['a scheme that ends like ours', `Authorization: XBearer ${token}`],
    ['a beginning of our scheme', `Authorization: Beare ${token}`],
    ['no space behind the scheme', `Authorization: Bearer${token}`],
    ['a colon behind the scheme', `Authorization: Bearer: ${token}`],
    ['an equals sign behind the scheme', `Authorization: Bearer=${token}`],
    ['a comma behind the scheme', `Authorization: Bearer, ${token}`],
    ['the scheme in quotes', `Authorization: "Bearer" ${token}`],
    ['another scheme in front', `Authorization: Basic YTpi, Bearer ${token}`],
    ['a no-break space', `Authorization: Bearer\xa0${token}`],
    ['a letter beyond ASCII', `Authorization: B\xe9arer ${token}`],
    ['a letter of another alphabet', `Authorization: ${utf8('B\u0435arer')} ${token}`],
    ['a space without width', `Authorization: ${utf8('\u200bBearer')} ${token}`],
    ['a byte order mark', `Authorization: ${utf8('\uFEFFBearer')} ${token}`],
    ['another field', `X-Authorization: Bearer ${token}`],
    ['the field for proxies', `Proxy-Authorization: Bearer ${token}`],
    ['a field with an underscore', `Authorization_: Bearer ${token}`],
    ['a field that is half of ours', `Authorizatio: Bearer ${token}`],
    ['the field of some gateways', `X-Forwarded-Access-Token: ${token}`],
    ['a field for the token', `X-Access-Token: ${token}`],
    ['a cookie', `Cookie: access_token=${token}; Authorization=Bearer ${token}`],
    ['a WebSocket protocol', `Sec-WebSocket-Protocol: Bearer, ${token}`],
  ])('%s', async (_what, lines) => {
    expect(await refused(lines)).toEqual({
      status: 401,
      code: 'unauthenticated',
      challenge: 'Bearer realm="api"',
    })
  })

  test.each(['access_token', 'token', 'authorization', 'Authorization'])(
    'in the query, as %s (RFC 6750 section 2.3)',
    async (name) => {
      expect(await refused('X: y', `/?${name}=${token}`)).toMatchObject({
        status: 401,
        code: 'unauthenticated',
      })
    },
  )

  test('in the body (RFC 6750 section 2.2)', async () => {
    const form = `access_token=${token}`
    const lines = `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}`
    const [reply] = await wire.say(
      `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n\r\n${form}`,
    )

    expect([reply?.status, wire.handled]).toEqual([401, []])
  })
})

describe('our scheme, and nothing that could be a token: 400 invalid_request', () => {
  test.each([
    ['no token', 'Bearer'],
    ['spaces for a token', 'Bearer    '],
    ['a tab in front of the token', `Bearer\t${token}`],
    ['a space and a tab', `Bearer \t${token}`],
    ['something behind the token', `Bearer ${token} x`],
    ['a tab behind the token', `Bearer ${token}\tx`],
    ['two tokens', `Bearer ${token} ${token}`],
    ['a comma behind the token', `Bearer ${token},`],
    ['two credentials in one field', `Bearer ${token}, Bearer ${token}`],
    ['two credentials of two kinds', `Bearer ${token}, Basic YTpi`],
    ['a semicolon behind the token', `Bearer ${token};`],
    ['the token in quotes', `Bearer "${token}"`],
    ['the token in angle brackets', `Bearer <${token}>`],
    ['a parameter', `Bearer token="${token}"`],
    ['padding within', `Bearer ${token.replace('.', '=.')}`],
    ['nothing but padding', 'Bearer ='],
    ['percent-encoding', `Bearer ${token.replaceAll('.', '%2E')}`],
    ['the JSON form of a JWS', 'Bearer {"payload":"e30","signatures":[]}'],
    ['a letter beyond ASCII', `Bearer ${token}\xe9`],
    ['a no-break space', `Bearer ${token}\xa0`],
    ['a letter of another alphabet', `Bearer ${utf8(`\u0435${token.slice(1)}`)}`],
    ['an emoji', `Bearer ${utf8('\u{1f600}')}`],
    ['a script', 'Bearer <script>alert(1)</script>'],
    ['a lookup', 'Bearer ${jndi:ldap://127.0.0.1/x}'],
  ])('%s', async (_what, value) => {
    const detail = 'The Authorization header is malformed'
    expect(await refused(`Authorization: ${value}`)).toEqual({
      status: 400,
      code: 'invalid-request',
      challenge: `Bearer realm="api", error="invalid_request", error_description="${detail}"`,
    })
  })
})

describe('two Authorization headers: 400, whichever is good', () => {
  test.each([
    ['the same', `Authorization: Bearer ${token}\r\nAuthorization: Bearer ${token}`],
    ['the second is bad', `Authorization: Bearer ${token}\r\nAuthorization: Bearer x`],
    ['the first is bad', `Authorization: Bearer x\r\nAuthorization: Bearer ${token}`],
    ['the second is Basic', `Authorization: Bearer ${token}\r\nAuthorization: Basic YTpi`],
    ['the first is Basic', `Authorization: Basic YTpi\r\nAuthorization: Bearer ${token}`],
    ['the second is empty', `Authorization: Bearer ${token}\r\nAuthorization:`],
    ['the first is empty', `Authorization:\r\nAuthorization: Bearer ${token}`],
    ['in other letters', `Authorization: Bearer ${token}\r\naUTHORIZATION: Bearer ${token}`],
    [
      'far apart',
      `Authorization: Bearer ${token}\r\n${'X: y\r\n'.repeat(500)}Authorization: Bearer ${token}`,
    ],
    ['three', Array(3).fill(`Authorization: Bearer ${token}`).join('\r\n')],
  ])('%s', async (_what, lines) => {
    const detail = 'More than one Authorization header was sent'
    expect(await refused(lines)).toEqual({
      status: 400,
      code: 'invalid-request',
      challenge: `Bearer realm="api", error="invalid_request", error_description="${detail}"`,
    })
  })
})

test('a thousand fields between two Authorization headers: 431', async () => {
  const lines = `Authorization: Bearer ${token}\r\n${'a:b\r\n'.repeat(1_000)}Authorization: Bearer x`
  expect(await refused(lines)).toEqual({ status: 431, code: 'too-many-fields', challenge: undefined })
})

test.each([
  `Authorization: Bearer ${token}`,
  `Authorization: bearer ${token}`,
  `Authorization: BEARER ${token}`,
  `authorization: Bearer ${token}`,
  `AUTHORIZATION:Bearer ${token}`,
  `Authorization: \t Bearer     ${token}  \t`,
  `Authorization: Bearer ${token}\r\nProxy-Authorization: Basic YTpi`,
])('what is well formed passes (benign): %.30s', async (lines) => {
  const [reply] = await ask(lines)
  expect([reply?.status, wire.handled]).toEqual([200, ['GET /']])
})
