import { challenge, extendChallenge } from '../../src/lib/challenge.js'

test.each([
  [challenge('DPoP'), 'DPoP'],
  [challenge('Bearer', { realm: 'api' }), 'Bearer realm="api"'],
  [challenge('DPoP', { algs: 'ES256 PS256' }), 'DPoP algs="ES256 PS256"'],
  [challenge('Bearer', { realm: 'api', error: undefined, scope: 'a b' }), 'Bearer realm="api", scope="a b"'],
  [
    extendChallenge('Bearer realm="api"', { error: 'invalid_token' }),
    'Bearer realm="api", error="invalid_token"',
  ],
  [
    extendChallenge('Bearer', { error: 'invalid_token', scope: 'a' }),
    'Bearer error="invalid_token", scope="a"',
  ],
  [extendChallenge('Bearer realm="api"', {}), 'Bearer realm="api"'],
])('writes %s', (written, expected) => expect(written).toBe(expected))

test('nothing in a value can end it or the header line', () => {
  expect(challenge('Bearer', { a: 'x", error="y\\' })).toBe(`Bearer a="x', error='y'"`)
  expect(challenge('Bearer', { a: 'x\r\nSet-Cookie: a=b\u0000\u00e9' })).toBe(
    'Bearer a="x??Set-Cookie: a=b??"',
  )
})
