import { TokenReader, type ReadToken } from '../../src/identity/token.js'

const encode = (part: object | string) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
const token = (header: object | string, payload: object | string) =>
  `${encode(header)}.${encode(payload)}.AAAA`
const header = { alg: 'ES256', typ: 'at+jwt', kid: 'key-1' }

test('reads a header it has read before as it did then, and each payload anew', () => {
  const reader = new TokenReader(new Set(['at+jwt']))
  const [one, other] = ['a', 'b'].map((sub) => reader.read(token(header, { sub })) as ReadToken)

  expect(one).toMatchObject({ header, algorithm: 'ES256', kid: 'key-1', payload: { sub: 'a' } })
  expect(other).toMatchObject({ header, algorithm: 'ES256', kid: 'key-1', payload: { sub: 'b' } })
  expect(other!.header).toBe(one!.header)
  expect(Object.isFrozen(one!.header)).toBe(true)
})

test('refuses a header each time it comes', () => {
  const reader = new TokenReader(new Set(['at+jwt']))
  for (let n = 0; n < 3; n++) {
    expect(reader.read(token({ ...header, crit: ['exp'] }, {}))).toBe('token-header')
    expect(reader.read(token({ ...header, alg: 'none' }, {}))).toBe('token-algorithm')
    expect(reader.read(token({ ...header, typ: 'JWT' }, {}))).toBe('token-type')
    expect(reader.read(token('{"alg":"ES256"', {}))).toBe('token-malformed')
  }
})

test('a good header does not help a bad payload', () => {
  const reader = new TokenReader(new Set(['at+jwt']))
  for (let n = 0; n < 3; n++) {
    expect(reader.read(token(header, { sub: 'a' }))).toMatchObject({ payload: { sub: 'a' } })
    expect(reader.read(token(header, '{"sub":"a","sub":"b"}'))).toBe('token-malformed')
  }
})

test('what one reader accepts, another with other types does not', () => {
  const text = token(header, {})
  expect(new TokenReader(new Set(['at+jwt'])).read(text)).toMatchObject({ header })
  expect(new TokenReader(new Set(['jwt'])).read(text)).toBe('token-type')
})

test('however many headers strangers make up, a known one is read as ever', () => {
  const reader = new TokenReader(new Set(['at+jwt']))
  for (let n = 0; n < 500; n++) {
    const kid = `made-up-${n}`
    expect(reader.read(token({ ...header, kid }, {}))).toMatchObject({ kid })
    expect(reader.read(token(header, {}))).toMatchObject({ kid: 'key-1' })
  }
})
