import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import request from 'supertest'
import { bearer } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import { resourceMetadata, type ResourceMetadataOptions } from '../../src/identity/resource-metadata.js'
import { serve } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'
import { listen } from '../support/raw.js'

const WELL_KNOWN = '/.well-known/oauth-protected-resource'
const issuer = 'https://id.example'
const audience = 'orders'
const asked = (resource?: string, more: object = {}) =>
  introspection({
    issuer: 'https://opaque.example',
    audience,
    clientId: 'orders',
    clientSecret: 'secret-of-the-orders-api',
    ...(resource !== undefined && { resource }),
    ...more,
  })
const jwt = (resource?: string) =>
  bearer({
    issuer: [issuer, 'https://other.example'],
    audience,
    ...(resource !== undefined && { resource }),
  })

describe('the document', () => {
  test('says what the methods say, and what the options add, to who has no credential', async () => {
    const resource = 'https://api.example.com'
    const { get, handled } = serve(
      resourceMetadata({
        auth: [jwt(resource), asked(resource)],
        scopesSupported: ['orders:read'],
        resourceName: 'Orders',
        resourceDocumentation: 'https://docs.example.com/orders',
        resourcePolicyUri: 'https://example.com/policy',
        resourceTosUri: 'https://example.com/terms',
      }),
    )
    const reply = await get(`${WELL_KNOWN}?x=1`).expect(200).expect('Cache-Control', 'public, max-age=600')
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(reply.body).toEqual({
      resource,
      authorization_servers: [issuer, 'https://other.example', 'https://opaque.example'],
      bearer_methods_supported: ['header'],
      scopes_supported: ['orders:read'],
      resource_name: 'Orders',
      resource_documentation: 'https://docs.example.com/orders',
      resource_policy_uri: 'https://example.com/policy',
      resource_tos_uri: 'https://example.com/terms',
    })
    expect(handled()).toBe(0)
  })

  test.each([
    ['https://api.example.com/', WELL_KNOWN],
    ['https://api.example.com:8443/orders', `${WELL_KNOWN}/orders`],
    ['https://api.example.com/v1/orders/', `${WELL_KNOWN}/v1/orders/`],
  ])('of %s is at %s, and names it to the letter', async (resource, path) => {
    const { get, head, post, handled } = serve(
      resourceMetadata({ auth: { all: [jwt(resource)] }, maxAgeSeconds: 0 }),
    )
    const reply = await get(path).expect(200).expect('Cache-Control', 'no-store')
    expect(reply.body).toMatchObject({ resource })
    const bodyless = await head(path).expect(200)
    expect(bodyless.text).toBeUndefined()
    expect(bodyless.headers['content-length']).toBe(reply.headers['content-length'])

    const refused = await post(path).expect(405).expect('Allow', 'GET, HEAD')
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'method-not-allowed' })
    expect(handled()).toBe(0)
    for (const other of ['/', `${path}/x`, path.slice(0, -1), WELL_KNOWN.toUpperCase()])
      await get(other).expect(200)
    expect(handled()).toBe(4)
  })

  test('names no issuer that is not a URL, and leaves an empty list out', async () => {
    const secret = 'Zq7fX0mJ4v9RkT2yWb8sLd3nHc6pGa1e'
    const auth = [bearer({ issuer: 'ourselves', secret, audience, resource: 'https://api.example.com' })]
    const reply = await serve(resourceMetadata({ auth })).get(WELL_KNOWN).expect(200)
    expect(reply.body).toEqual({ resource: 'https://api.example.com', bearer_methods_supported: ['header'] })
  })
})

describe('challenges', () => {
  const named = `resource_metadata="https://api.example.com${WELL_KNOWN}/orders"`
  const resource = 'https://api.example.com/orders'

  test.each([
    ['bearer', jwt(resource)],
    ['introspection', asked(resource)],
  ])('of %s name it, with and without an error', async (_name, method) => {
    const { get } = serve(method)
    const nothing = await get('/').expect(401)
    expect(nothing.headers['www-authenticate']).toBe(`Bearer realm="api", ${named}`)
    const long = await get('/')
      .set('Authorization', `Bearer ${'x'.repeat(9_000)}`)
      .expect(401)
    expect(long.headers['www-authenticate']).toBe(
      `Bearer realm="api", ${named}, error="invalid_token", error_description="The access token is too long"`,
    )
  })

  test('lead a client from nothing to the authorization server', async () => {
    const oauth = await import('oauth4webapi')
    const { api } = testApi({ auth: [jwt(resource)], resourceMetadata: {}, strict: true })
    const server = createServer(api.protect((_req, res) => void res.end()))
    await listen(server)
    const here = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const asked: string[] = []
    const reach = (url: string, init?: object) => {
      asked.push(url)
      return fetch(url.replace('https://api.example.com', here), init)
    }
    try {
      const refused = await reach(`${resource}/1`)
      const where = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate')!)![1]!
      const reply = await oauth.resourceDiscoveryRequest(new URL(resource), { [oauth.customFetch]: reach })
      expect(asked.at(-1)).toBe(where)
      const found = await oauth.processResourceDiscoveryResponse(new URL(resource), reply)
      expect(found.authorization_servers).toEqual([issuer, 'https://other.example'])
    } finally {
      server.close()
      server.closeAllConnections()
      await api.close()
    }
  })
})

test('in secureApi, it is on record, limited and open to everybody, also where everything else is not', async () => {
  const { api, events } = testApi({
    auth: { all: [jwt('https://api.example.com')] },
    resourceMetadata: { resourceName: 'Orders' },
    rbac: { default: 'authenticated' },
    mask: { resource: 'redact' },
    rateLimit: { limit: 1, windowMs: 60_000 },
    strict: true,
  })
  const server = createServer(api.protect((_req, res) => void res.end()))
  const reply = await request(server).get(WELL_KNOWN).expect(200).expect('X-Content-Type-Options', 'nosniff')
  expect(reply.body).toMatchObject({ resource: 'https://api.example.com', resource_name: 'Orders' })
  expect(events.at(-1)).toMatchObject({ kind: 'request', status: 200 })
  await request(server).get(WELL_KNOWN).expect(429)
  await api.close()
})

describe('does not start', () => {
  const good = { auth: [jwt('https://api.example.com')] }
  test.each<[string, unknown, string]>([
    ['without methods', {}, 'resourceMetadata needs auth'],
    ['where nobody is asked', { auth: false }, 'resourceMetadata needs auth'],
    ['without a resource', { auth: [jwt()] }, 'resourceMetadata needs a method with a `resource`'],
    [
      'with two resources',
      { auth: [jwt('https://api.example.com'), asked('https://api.example.com/')] },
      'the methods of auth name two',
    ],
    ['with scopes that are none', { ...good, scopesSupported: ['a b'] }, 'must name one scope'],
    ['with an empty list', { ...good, scopesSupported: [] }, 'must list at least one scope'],
    ['with no name', { ...good, resourceName: '' }, 'resourceMetadata.resourceName must be a text'],
    [
      'with a page over http',
      { ...good, resourceTosUri: 'http://example.com' },
      'resourceMetadata.resourceTosUri must be an https URL',
    ],
    ['with a week', { ...good, maxAgeSeconds: 604_800 }, 'resourceMetadata.maxAgeSeconds must be an integer'],
  ])('%s', (_what, options, message) => {
    expect(() => resourceMetadata(options as ResourceMetadataOptions)).toThrow(message)
  })

  test.each<[string, string]>([
    ['http://api.example.com', 'bearer.resource must be https'],
    ['https://api.example.com/#x', 'must not have a fragment'],
    ['https://user@api.example.com', 'must not contain credentials'],
    ['https://api.example.com/?tenant=1', 'must not have a query'],
    ['orders', 'must be an absolute URL'],
  ])('with the resource %s', (resource, message) => {
    expect(() => jwt(resource)).toThrow(message)
    expect(() => asked(resource)).toThrow(message.replace('bearer', 'introspection'))
  })
})
