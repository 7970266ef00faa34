import * as jose from 'jose'
import { fakeClock, localIssuer } from '../../src/testing/index.js'

const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

test.each(algorithms)('%s tokens verify with another library', async (algorithm) => {
  const issuer = localIssuer({ algorithm })
  const keys = jose.createLocalJWKSet(issuer.jwks as jose.JSONWebKeySet)
  const { payload } = await jose.jwtVerify(issuer.mint({ scope: 'a' }), keys, {
    issuer: issuer.issuer,
    audience: issuer.audience,
    typ: 'at+jwt',
    algorithms: [algorithm],
  })
  expect(payload).toMatchObject({ sub: 'user-1', client_id: 'client-1', scope: 'a' })
})

test('a token is good for five minutes by the clock of the issuer', () => {
  const clock = fakeClock()
  const { iat, exp } = jose.decodeJwt(localIssuer({ clock }).mint())
  expect(iat).toBe(clock.now() / 1_000)
  expect(exp).toBe(clock.now() / 1_000 + 300)
})

test('claims and header can be changed and left out', () => {
  const issuer = localIssuer()
  const token = issuer.mint({ sub: undefined, aud: ['a', 'b'] }, { header: { kid: undefined, x: 1 } })
  expect(jose.decodeJwt(token)).not.toHaveProperty('sub')
  expect(jose.decodeJwt(token).aud).toEqual(['a', 'b'])
  expect(jose.decodeProtectedHeader(token)).toEqual({ alg: 'ES256', typ: 'at+jwt', x: 1 })
})

test('answers for metadata and keys under its address, and for nothing else', async () => {
  const issuer = localIssuer({ issuer: 'https://id.test/tenant/' })
  const get = async (url: string) => (await issuer.fetch(url)).json()
  expect(await get('https://id.test/tenant/.well-known/openid-configuration')).toEqual({
    issuer: 'https://id.test/tenant/',
    jwks_uri: 'https://id.test/tenant/jwks',
  })
  expect(await get('https://id.test/tenant/jwks')).toEqual(issuer.jwks)
  await expect(issuer.fetch('https://example.com/')).rejects.toThrow('fetch failed')
  expect(issuer.calls).toEqual({ metadata: 1, keys: 1 })
})

test('publishes no private part', () => {
  for (const algorithm of algorithms) {
    for (const jwk of localIssuer({ algorithm }).jwks.keys) expect(jwk).not.toHaveProperty('d')
  }
})

test('rotates, with the old key still published or withdrawn', () => {
  const issuer = localIssuer()
  const names = () => issuer.jwks.keys.map(({ kid }) => kid)
  issuer.rotate()
  expect(names()).toEqual(['key-2', 'key-1'])
  expect(jose.decodeProtectedHeader(issuer.mint()).kid).toBe('key-2')
  issuer.rotate({ withdraw: true })
  expect(names()).toEqual(['key-3'])
})

test('goes down, hangs until it is given up, and comes up again', async () => {
  const issuer = localIssuer()
  const url = `${issuer.issuer}/jwks`
  issuer.down()
  await expect(issuer.fetch(url)).rejects.toThrow('fetch failed')
  issuer.hang()
  const abort = new AbortController()
  const hanging = issuer.fetch(url, { signal: abort.signal })
  abort.abort(new Error('given up'))
  await expect(hanging).rejects.toThrow('given up')
  issuer.up()
  expect((await issuer.fetch(url)).status).toBe(200)
})

test.each<[string, () => unknown]>([
  ['localIssuer has no option "isuer". Did you mean "issuer"?', () => localIssuer({ isuer: 'x' } as object)],
  ['localIssuer.algorithm must be one of', () => localIssuer({ algorithm: 'HS256' as 'RS256' })],
  [
    'mint has no option "headers". Did you mean "header"?',
    () => localIssuer().mint({}, { headers: {} } as object),
  ],
  ['rotate has no option "withdrawn"', () => localIssuer().rotate({ withdrawn: true } as object)],
])('a slip in a test is not taken for nothing: %s', (message, call) => {
  expect(call).toThrow(message)
})
