import { discover, wellKnownUrls } from '../../src/identity/discovery.js'

const never = new AbortController().signal
const strict = { allowInsecureLoopback: false }

/** Answers only at these addresses, and remembers what was asked. */
function provider(documents: Record<string, unknown>) {
  const asked: string[] = []
  const fetch: typeof globalThis.fetch = async (input) => {
    const url = input as string
    asked.push(url)
    return url in documents ? Response.json(documents[url]) : new Response(null, { status: 404 })
  }
  return { fetch, asked }
}

test.each([
  [
    'https://id.test',
    'https://id.test/.well-known/openid-configuration',
    'https://id.test/.well-known/oauth-authorization-server',
  ],
  [
    'https://id.test/',
    'https://id.test/.well-known/openid-configuration',
    'https://id.test/.well-known/oauth-authorization-server',
  ],
  [
    'https://id.test/t/1',
    'https://id.test/t/1/.well-known/openid-configuration',
    'https://id.test/.well-known/oauth-authorization-server/t/1',
  ],
  [
    'https://id.test:8443/t/',
    'https://id.test:8443/t/.well-known/openid-configuration',
    'https://id.test:8443/.well-known/oauth-authorization-server/t',
  ],
])('the metadata of %s is where OpenID and RFC 8414 put it', (issuer, openId, oauth) => {
  expect(wellKnownUrls(issuer)).toEqual([openId, oauth])
})

test('finds the keys through OpenID metadata', async () => {
  const { fetch, asked } = provider({
    'https://id.test/.well-known/openid-configuration': {
      issuer: 'https://id.test',
      jwks_uri: 'https://keys.test/k',
    },
  })
  expect(await discover('jwks_uri', 'https://id.test', { fetch }, strict, never)).toBe('https://keys.test/k')
  expect(asked).toHaveLength(1)
})

test('finds them through RFC 8414 metadata where there is no other', async () => {
  const { fetch, asked } = provider({
    'https://id.test/.well-known/oauth-authorization-server/t': {
      issuer: 'https://id.test/t',
      jwks_uri: 'https://id.test/k',
    },
  })
  expect(await discover('jwks_uri', 'https://id.test/t', { fetch }, strict, never)).toBe('https://id.test/k')
  expect(asked).toHaveLength(2)
})

test.each([401, 403, 410])(
  'finds them there too where the issuer has %i for what it does not have',
  async (status) => {
    const fetch: typeof globalThis.fetch = async (input) =>
      (input as string).endsWith('/openid-configuration')
        ? new Response(null, { status })
        : Response.json({ issuer: 'https://id.test', jwks_uri: 'https://id.test/k' })
    expect(await discover('jwks_uri', 'https://id.test', { fetch }, strict, never)).toBe('https://id.test/k')
  },
)

test.each([400, 429, 500, 503])(
  'does not look elsewhere when the provider is broken rather than without metadata: %i',
  async (status) => {
    const fetch = jest.fn(async () => new Response(null, { status }))
    await expect(discover('jwks_uri', 'https://id.test', { fetch }, strict, never)).rejects.toThrow(
      `answered ${status}`,
    )
    expect(fetch).toHaveBeenCalledTimes(1)
  },
)

test.each([
  ['another issuer', { issuer: 'https://evil.test', jwks_uri: 'https://id.test/k' }, 'claims another issuer'],
  [
    'the issuer with a slash',
    { issuer: 'https://id.test/', jwks_uri: 'https://id.test/k' },
    'claims another issuer',
  ],
  ['no issuer', { jwks_uri: 'https://id.test/k' }, 'claims another issuer'],
  [
    'a list of issuers',
    { issuer: ['https://id.test'], jwks_uri: 'https://id.test/k' },
    'claims another issuer',
  ],
  ['no jwks_uri', { issuer: 'https://id.test' }, 'is missing'],
  ['a jwks_uri that is a list', { issuer: 'https://id.test', jwks_uri: ['https://id.test/k'] }, 'is missing'],
  ['a jwks_uri without TLS', { issuer: 'https://id.test', jwks_uri: 'http://id.test/k' }, 'must be https'],
  [
    'a jwks_uri on this machine',
    { issuer: 'https://id.test', jwks_uri: 'http://127.0.0.1/k' },
    'must be https',
  ],
  [
    'a jwks_uri that is a file',
    { issuer: 'https://id.test', jwks_uri: 'file:///etc/passwd' },
    'must be https',
  ],
])('refuses metadata with %s (ASVS 10.5.3)', async (_what, metadata, message) => {
  const { fetch } = provider({ 'https://id.test/.well-known/openid-configuration': metadata })
  await expect(discover('jwks_uri', 'https://id.test', { fetch }, strict, never)).rejects.toThrow(message)
})
