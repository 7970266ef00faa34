import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { endpointUrl, fetchJson, whyNotTrusted } from '../../src/identity/endpoint.js'

const never = new AbortController().signal

describe('an endpoint', () => {
  test.each([
    'https://id.example.com/jwks',
    'https://id.example.com:8443/a/b?tenant=1',
    'https://10.0.0.1/jwks',
    'HTTPS://ID.EXAMPLE.COM',
  ])('%s may be trusted', (url) => {
    expect(whyNotTrusted(url, { allowInsecureLoopback: false })).toBeUndefined()
  })

  test.each([
    'http://id.example.com/jwks',
    'http://localhost.example.com/jwks',
    'http://127.0.0.1.example.com/jwks',
    'http://127.example.com',
    'http://[::2]/jwks',
    'http://128.0.0.1/',
    'http://0.0.0.0/',
    'ftp://127.0.0.1/jwks',
    'file:///etc/passwd',
    'data:application/json,{}',
    'https://user:pass@id.example.com/',
    'https://user@id.example.com/',
    'https://id.example.com/#keys',
    'id.example.com/jwks',
    '//id.example.com/jwks',
    '',
  ])('%s may not, even with loopback allowed', (url) => {
    expect(whyNotTrusted(url, { allowInsecureLoopback: true })).toBeDefined()
  })

  test.each([
    'http://localhost:9400/',
    'http://127.0.0.1/jwks',
    'http://127.9.9.9',
    'http://2130706433/',
    'http://[::1]:1/',
  ])('%s is on this machine: only with the option for it', (url) => {
    expect(whyNotTrusted(url, { allowInsecureLoopback: true })).toBeUndefined()
    expect(whyNotTrusted(url, { allowInsecureLoopback: false })).toMatch('allowInsecureLoopback')
  })

  test('that is wrong is named by its option', () => {
    expect(() => endpointUrl('bearer.jwksUri', 'http://a.test', { allowInsecureLoopback: false })).toThrow(
      'bearer.jwksUri must be https',
    )
    expect(() => endpointUrl('bearer.jwksUri', 7, { allowInsecureLoopback: false })).toThrow(
      'bearer.jwksUri must be an absolute URL',
    )
  })
})

describe('fetchJson', () => {
  const answering = (body: string | ReadableStream<Uint8Array> | null, init?: ResponseInit) => ({
    fetch: async () => new Response(body, init),
  })
  const URL = 'https://id.test/doc?key=operators-secret'

  test('reads an object', async () => {
    expect(await fetchJson(URL, answering('{"a":1}'), never)).toEqual({ a: 1 })
  })

  test('asks for JSON, and for no redirect to be followed', async () => {
    const fetch = jest.fn(async () => Response.json({}))
    await fetchJson(URL, { fetch }, never)
    expect(fetch).toHaveBeenCalledWith(URL, {
      headers: { accept: 'application/json' },
      redirect: 'error',
      signal: never,
    })
  })

  test.each([
    ['an array', '[1]', {}],
    ['null', 'null', {}],
    ['a number', '1', {}],
    ['no JSON', '<html>', {}],
    ['nothing', null, {}],
    ['500', '{}', { status: 500 }],
    ['404', '{}', { status: 404 }],
    ['201', '{}', { status: 201 }],
    ['a redirect', null, { status: 302, headers: { location: 'https://evil.test' } }],
    ['more than 256 kB', `{"a":"${'x'.repeat(262_144)}"}`, {}],
  ])('refuses %s, and says nothing of the query', async (_what, body, init) => {
    const failed = fetchJson(URL, answering(body, init), never)
    await expect(failed).rejects.toThrow()
    await expect(failed).rejects.not.toThrow('operators-secret')
  })

  test('refuses what a redirect led to, if the fetch in use follows them', async () => {
    const fetch = async () => Object.defineProperty(Response.json({}), 'redirected', { value: true })
    await expect(fetchJson(URL, { fetch }, never)).rejects.toThrow('answered 200')
  })

  test('stops reading a body without end', async () => {
    let pulled = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++
        controller.enqueue(new Uint8Array(65_536))
      },
    })
    await expect(fetchJson(URL, answering(endless), never)).rejects.toThrow('more than 262144 bytes')
    expect(pulled).toBeLessThan(10)
  })

  test('ends with its signal, also if the fetch in use does not listen to it', async () => {
    const controller = new AbortController()
    const deaf = fetchJson(URL, { fetch: () => new Promise(() => undefined) }, controller.signal)
    controller.abort(new Error('too late'))
    await expect(deaf).rejects.toThrow('too late')
    await expect(fetchJson(URL, answering('{}'), controller.signal)).rejects.toThrow('too late')
  })

  test('ends with its signal while a body trickles in', async () => {
    const controller = new AbortController()
    const trickle = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) })
    const slow = fetchJson(URL, answering(trickle), controller.signal)
    controller.abort(new Error('too late'))
    await expect(slow).rejects.toThrow('too late')
  })

  test('does not follow a redirect of a real server', async () => {
    let evil = 0
    const server = createServer((req, res) => {
      if (req.url === '/evil') evil++
      res.writeHead(302, { location: '/evil' }).end()
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const { port } = server.address() as AddressInfo
    try {
      await expect(fetchJson(`http://127.0.0.1:${port}/`, { fetch }, never)).rejects.toThrow()
      expect(evil).toBe(0)
    } finally {
      server.close()
    }
  })
})
