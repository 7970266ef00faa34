import express5 from 'express'
import express4 from 'express4'
import { createServer } from 'node:http'
import { ConfigError } from '../../src/kernel/config-error.js'
import { serve, type ServeOptions } from '../../src/testing/index.js'
import { firewall, type FirewallOptions } from '../../src/transport/firewall.js'
import { sendRaw } from '../support/raw.js'

/** Serves the firewall and sends it request heads as they are. */
function raw(options?: FirewallOptions, serving?: ServeOptions) {
  const { server, handled } = serve(options === undefined ? firewall() : firewall(options), serving)
  return {
    handled,
    send: (head: string) => sendRaw(server, `${head}\r\nConnection: close\r\n\r\n`),
    get: (target: string) =>
      sendRaw(server, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`),
  }
}

describe('a hostile target', () => {
  const { get, handled } = raw()

  test.each([
    ['/.', 'dot-segment'],
    ['/..', 'dot-segment'],
    ['/./admin', 'dot-segment'],
    ['/public/../admin', 'dot-segment'],
    ['/admin/.', 'dot-segment'],
    ['/admin/..', 'dot-segment'],
    ['/../../etc/passwd', 'dot-segment'],
    ['/%2e/admin', 'dot-segment'],
    ['/%2E%2E/admin', 'dot-segment'],
    ['/%2e./admin', 'dot-segment'],
    ['/.%2E/admin', 'dot-segment'],
    ['/a/%2e%2e', 'dot-segment'],
    ['/a/..?x=1', 'dot-segment'],
    ['/..;/admin', 'semicolon'],
    ['/admin;', 'semicolon'],
    ['/admin;jsessionid=1', 'semicolon'],
    ['/;/admin', 'semicolon'],
    ['/admin%3b', 'semicolon'],
    ['/admin%3Bx=1/..', 'semicolon'],
    ['/public%2fadmin', 'encoded-slash'],
    ['/public%2Fadmin', 'encoded-slash'],
    ['/..%2fadmin', 'encoded-slash'],
    ['/%2e%2e%2fadmin', 'encoded-slash'],
    ['/%2f', 'encoded-slash'],
    ['/public\\admin', 'backslash'],
    ['/..\\admin', 'backslash'],
    ['/\\evil.example', 'backslash'],
    ['/public%5cadmin', 'backslash'],
    ['/..%5Cadmin', 'backslash'],
    ['//', 'duplicate-slash'],
    ['//evil.example/x', 'duplicate-slash'],
    ['/public//admin', 'duplicate-slash'],
    ['/admin//', 'duplicate-slash'],
    ['///admin', 'duplicate-slash'],
    ['/admin%00', 'control-character'],
    ['/admin%00.png', 'control-character'],
    ['/a%0d%0aSet-Cookie:x', 'control-character'],
    ['/a%0a', 'control-character'],
    ['/a%09b', 'control-character'],
    ['/a%1Fb', 'control-character'],
    ['/a%7fb', 'control-character'],
    ['/a%c2%85b', 'control-character'],
    ['/a%C2%9Bb', 'control-character'],
    ['/a%e2%80%a8b', 'control-character'],
    ['/a%E2%80%A9b', 'control-character'],
    ['/a%', 'invalid-encoding'],
    ['/a%2', 'invalid-encoding'],
    ['/a%zz', 'invalid-encoding'],
    ['/a%u002e', 'invalid-encoding'],
    ['/%%32%65', 'invalid-encoding'],
    ['/a%ff', 'invalid-encoding'],
    ['/a%e4', 'invalid-encoding'],
    ['/a%c3/', 'invalid-encoding'],
    ['/a%c3', 'invalid-encoding'],
    ['/%c0%ae%c0%ae/admin', 'invalid-encoding'],
    ['/a%c0%afadmin', 'invalid-encoding'],
    ['/a%e0%80%af', 'invalid-encoding'],
    ['/a%f0%80%80%af', 'invalid-encoding'],
    ['/a%ed%a0%80', 'invalid-encoding'],
    ['/a%f4%90%80%80', 'invalid-encoding'],
    ['/a%c3%c3', 'invalid-encoding'],
    ['/a%e2%82%ff', 'invalid-encoding'],
    ['/a%f9%80%80%80', 'invalid-encoding'],
    ['/a%fc%80%80%80%80%af', 'invalid-encoding'],
    ['/%252e%252e/admin', 'double-encoding'],
    ['/a%252fadmin', 'double-encoding'],
    ['/a%25%32%66', 'double-encoding'],
    ['/a%25252f', 'double-encoding'],
    ['/a%2500', 'double-encoding'],
    ['/a%25%2565', 'double-encoding'],
    ['/admin#', 'fragment'],
    ['/public#/../admin', 'fragment'],
    ['http://a/admin', 'absolute-form'],
    ['http://evil.example/admin', 'absolute-form'],
    ['https://user@a/admin', 'absolute-form'],
    ['*', 'asterisk-form'],
  ])('%s is refused as %s (ASVS 1.1.1)', async (target, rule) => {
    const before = handled()
    const { status, head, body } = await get(target)

    expect([status, JSON.parse(body).code]).toEqual([400, 'ambiguous-path'])
    expect(head).toContain('Content-Type: application/problem+json; charset=utf-8')
    expect(JSON.parse(body).detail).toBe(DETAIL[rule])
    expect(handled()).toBe(before)
  })

  test.each([
    ['/a\0b'],
    ['/a\x01b'],
    ['/a\tb'],
    ['/a\x7fb'],
    ['/a b'],
    ['/a\rb'],
    ['/a\nb'],
    ['/a\x80b'],
    ['/caf\xc3\xa9'],
    ['/\xc0\xae\xc0\xae/admin'],
    ['admin'],
    ['\\admin'],
    ['?admin'],
    ['a:443'],
    ['urn:admin'],
  ])("%j is refused by Node's own parser, before any middleware", async (target) => {
    const { status, body } = await get(target)

    expect([status, body]).toEqual([400, ''])
    expect(handled()).toBe(0)
  })
})

describe('a benign look-alike', () => {
  const { get, handled } = raw()

  test.each([
    '/',
    '/orders',
    '/orders/',
    '/Orders/42',
    '/.well-known/security.txt',
    '/...',
    '/.../x',
    '/a..b',
    '/..a',
    '/a..',
    '/.a',
    '/a.',
    '/files/report.tar.gz',
    '/files/report%2epdf',
    '/a/%2e%2e%2e/b',
    '/users/me@example.com',
    '/users/a+b',
    "/it's/(fine)!*,=&$",
    '/a:b/c:d',
    '/~home/_x-y',
    '/caf%C3%A9',
    '/%E2%82%AC',
    '/%F0%9F%98%80',
    '/%ef%bf%bd',
    '/%e2%80%a7',
    '/%c2%a0',
    '/a%20b',
    '/100%25',
    '/100%25/off',
    '/100%25%20off',
    '/50%25-60%25',
    '/a%25g1',
    '/%23hash%3Fmark',
    '/a|b{c}^`',
    '/orders?path=/../..//;\\%2f%00%zz%252e#x',
    '/orders?',
    '/?//',
    '/redirect?to=https://a.example//b;c',
  ])('%s passes', async (target) => {
    const before = handled()

    expect((await get(target)).status).toBe(200)
    expect(handled()).toBe(before + 1)
  })
})

describe('allow', () => {
  test.each<[keyof NonNullable<FirewallOptions['allow']>, string[], string[]]>([
    ['semicolon', ['/a;b=1/c', '/a%3Bb', '/;'], ['/..;/a', '/a/.;x/b', '/%2e%2e;x', '/a;..']],
    ['encodedSlash', ['/a%2Fb', '/%2f'], ['/..%2fa', '/a%2f..', '/a%2f%2e%2e%2fb']],
    ['backslash', ['/a\\b', '/a%5cb'], ['/..\\a', '/a%5c..', '/a\\.']],
    ['duplicateSlash', ['//', '//a', '/a//b///'], ['/a//..', '//./a']],
    ['doubleEncoding', ['/%252e%252e', '/a%2500'], ['/a%25/..', '/a%zz']],
    ['unencodedCharacter', ['/a'], ['/..']],
  ])('%s lets these pass and nothing else', async (name, passing, refused) => {
    const { server } = serve(firewall({ allow: { [name]: true } }))
    const status = async (target: string) =>
      (await sendRaw(server, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)).status

    for (const target of passing) expect([target, await status(target)]).toEqual([target, 200])
    for (const target of refused) expect([target, await status(target)]).toEqual([target, 400])
  })

  test('is off for what is false or undefined', async () => {
    const { get } = serve(firewall({ allow: { semicolon: false, duplicateSlash: undefined as never } }))

    await get('/a;b').expect(400)
    await get('/a//b').expect(400)
  })
})

describe('methods', () => {
  test.each(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'])('%s passes', async (method) => {
    const { server } = serve(firewall())

    const { status } = await sendRaw(server, `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)

    expect(status).toBe(200)
  })

  describe('that are not listed', () => {
    const { send, handled } = raw()

    test.each(['TRACE', 'PROPFIND', 'MKCOL', 'LOCK', 'PURGE', 'LINK', 'SEARCH', 'M-SEARCH', 'QUERY'])(
      '%s is 405 with Allow (ASVS 4.1.4, 13.4.4)',
      async (method) => {
        const { status, head, body } = await send(`${method} / HTTP/1.1\r\nHost: a`)

        expect([status, JSON.parse(body).code]).toEqual([405, 'method-not-allowed'])
        expect(head).toContain('\r\nAllow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n')
        expect(handled()).toBe(0)
      },
    )

    test.each(['get', 'FOO', 'G ET', 'GET\0'])("%j never gets past Node's parser", async (method) => {
      expect((await send(`${method} / HTTP/1.1\r\nHost: a`)).status).toBe(400)
      expect(handled()).toBe(0)
    })
  })

  test('are those that the option lists', async () => {
    const { get, post, delete: remove } = serve(firewall({ methods: ['GET', 'POST'] }))

    await get('/').expect(200)
    await post('/').expect(200)
    await remove('/').expect(405).expect('Allow', 'GET, POST')
  })
})

describe('the Host field', () => {
  const twice = raw()
  test.each(['Host: a\r\nHost: b', 'Host: a\r\nhost: a', 'HOST: a\r\nX: 1\r\nHosT: a'])(
    '%j is refused, because two readers may believe two hosts',
    async (fields) => {
      const { status, body } = await twice.send(`GET / HTTP/1.1\r\n${fields}`)

      expect([status, JSON.parse(body).code]).toEqual([400, 'invalid-host'])
      expect(twice.handled()).toBe(0)
    },
  )

  test('may be anything, and absent in HTTP/1.0, while no hosts are listed', async () => {
    expect((await twice.send('GET / HTTP/1.1\r\nHost: anything:1')).status).toBe(200)
    expect((await twice.send('GET / HTTP/1.1\r\nHost: a\r\nHosts: b\r\nX-Host: c')).status).toBe(200)
    expect((await twice.send('GET / HTTP/1.0')).status).toBe(200)
  })

  const listed = raw({ hosts: ['API.example.com', 'localhost:3000', '[::1]:3000', '192.0.2.1'] })
  test.each(['api.example.com', 'API.EXAMPLE.COM', 'localhost:3000', '[::1]:3000', '192.0.2.1'])(
    '%s is served when listed',
    async (host) => {
      expect((await listed.send(`GET / HTTP/1.1\r\nHost: ${host}`)).status).toBe(200)
    },
  )

  test.each([
    'Host: evil.example',
    'Host: api.example.com.',
    'Host: api.example.com:443',
    'Host: api.example.com:80',
    'Host: xapi.example.com',
    'Host: api.example.com.evil.example',
    'Host: api.example.com@evil.example',
    'Host: api.example.com/evil',
    'Host: api.example.com, evil.example',
    'Host: localhost',
    'Host: localhost:30000',
    'Host: [::1]',
    'Host: [0:0:0:0:0:0:0:1]:3000',
    'Host:',
    'Host: evil.example\r\nX-Forwarded-Host: api.example.com',
    'Host: evil.example\r\nForwarded: host=api.example.com',
  ])('%j is refused when hosts are listed', async (fields) => {
    const before = listed.handled()
    const { status, body } = await listed.send(`GET / HTTP/1.1\r\n${fields}`)

    expect([status, JSON.parse(body).code]).toEqual([400, 'invalid-host'])
    expect(listed.handled()).toBe(before)
  })

  test('is required when hosts are listed, in HTTP/1.0 too', async () => {
    expect((await listed.send('GET / HTTP/1.0')).status).toBe(400)
  })
})

describe('the path that is judged', () => {
  test.each<[string, typeof express5]>([
    ['Express 5', express5],
    ['Express 4', express4],
  ])('is the one the client sent, also under a mount of %s', async (_name, framework) => {
    const seen: string[] = []
    const app = framework()
      .use('/api', firewall())
      .use('/', (req, res) => {
        seen.push(req.originalUrl)
        res.end()
      })
    const server = createServer(app)
    const status = async (target: string) =>
      (await sendRaw(server, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)).status

    expect(await status('/api/a;b')).toBe(400)
    expect(await status('/api')).toBe(200)
    expect(await status('/api?x')).toBe(200)
    expect(seen).toEqual(['/api', '/api?x'])
  })
})

test('report mode does not apply', () => {
  expect(firewall().stage.reportable).toBe('never')
  expect(() => firewall({}, { mode: 'report' })).toThrow(ConfigError)
})

test('the trace names the check that refused', async () => {
  const stage = firewall()
  const verdict = stage.stage.enter({
    req: { method: 'GET', rawHeaders: [], socket: {} },
    path: '/a;b',
  } as never)

  expect(verdict).toMatchObject({ code: 'ambiguous-path', rule: 'semicolon' })
})

describe('options', () => {
  test.each<[unknown, RegExp]>([
    [{ method: ['GET'] }, /firewall has no option "method". Did you mean "methods"/],
    [{ allow: { dotSegment: true } }, /firewall.allow has no option "dotSegment"/],
    [{ allow: { encodedslash: true } }, /Did you mean "encodedSlash"/],
    [
      { allow: { semicolon: 'yes' } },
      /firewall.allow.semicolon must be true or false, got a string of 3 characters/,
    ],
    [{ allow: true }, /firewall.allow must be an object of options, got true/],
    [{ methods: [] }, /firewall.methods must list at least one method/],
    [{ methods: 'GET' }, /firewall.methods must list at least one method, got a string of 3 characters/],
    [{ methods: ['get'] }, /firewall.methods must list methods in upper case.*got a string of 3 characters/],
    [{ methods: ['*'] }, /in upper case/],
    [{ methods: ['GET', 'TRACE'] }, /must not list TRACE/],
    [{ methods: ['CONNECT'] }, /must not list CONNECT/],
    [{ hosts: [] }, /firewall.hosts must list at least one host/],
    [{ hosts: 'a' }, /firewall.hosts must list at least one host/],
    [{ hosts: ['https://a'] }, /got a string of 9 characters/],
    [{ hosts: ['a/'] }, /got a string of 2 characters/],
    [{ hosts: ['*.example.com'] }, /no wildcard/],
    [{ hosts: ['a b'] }, /got a string of 3 characters/],
    [{ hosts: [''] }, /got an empty string/],
    [{ hosts: ['a:port'] }, /got a string of 6 characters/],
    [{ hosts: [1] }, /got 1/],
  ])('%j is refused at start', (options, message) => {
    expect(() => firewall(options as FirewallOptions)).toThrow(ConfigError)
    expect(() => firewall(options as FirewallOptions)).toThrow(message)
  })

  test('are shown by explain, and what is loosened is a finding', () => {
    const { stage } = firewall({ methods: ['GET'], hosts: ['A'], allow: { encodedSlash: true } })

    expect(stage.describe()).toEqual({ methods: ['GET'], hosts: ['a'], allow: ['encoded-slash'] })
    expect(stage.findings()).toEqual([expect.objectContaining({ code: 'firewall-loosened' })])
    expect(firewall().stage.findings()).toEqual([])
  })
})

const DETAIL: Record<string, string> = {
  'absolute-form': 'The request target must be a path that begins with a slash.',
  'asterisk-form': 'The request target must be a path that begins with a slash.',
  backslash: 'The path has a backslash.',
  'control-character': 'The path has a control character.',
  'dot-segment': 'The path has a dot segment.',
  'double-encoding': 'The path is percent-encoded more than once.',
  'duplicate-slash': 'The path has an empty segment.',
  'encoded-slash': 'The path has an encoded slash.',
  fragment: 'The path has a fragment.',
  'invalid-encoding': 'The path is not percent-encoded UTF-8.',
  semicolon: 'The path has a semicolon.',
}

describe('a transfer coding', () => {
  const { send, handled } = raw()

  test.each(['gzip, chunked', 'identity, chunked', 'xchunked', '"chunked"', 'chunked;q=1'])(
    '%s is refused 400, and the connection is closed',
    async (coding) => {
      const { status, head, body } = await send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${coding}`)

      expect([status, JSON.parse(body).code]).toEqual([400, 'malformed-body'])
      expect(head).toMatch(/connection: close/i)
      expect(handled()).toBe(0)
    },
  )

  test.each(['chunked', 'Chunked', ' CHUNKED '])('%s passes', async (coding) => {
    const { status } = await send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${coding}\r\n\r\n0`)

    expect(status).toBe(200)
  })
})

describe('header fields that Node would drop', () => {
  const fields = (count: number) => 'a: b\r\n'.repeat(count)

  test.each([1_000, 1_001, 1_100, 2_500])('%i of them are refused 431', async (count) => {
    const { send, handled } = raw()
    const { status, body } = await send(`GET / HTTP/1.1\r\nHost: a\r\n${fields(count - 3)}X: y`)

    expect([status, JSON.parse(body).code]).toEqual([431, 'too-many-fields'])
    expect(handled()).toBe(0)
  })

  test('999 of them pass, and any number where the server drops none', async () => {
    const { server, handled } = serve(firewall())
    const ask = async (count: number) =>
      (await sendRaw(server, `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields(count - 2)}\r\n`))
        .status

    expect(await ask(999)).toBe(200)
    server.maxHeadersCount = 0
    expect(await ask(3_000)).toBe(200)
    server.maxHeadersCount = 10
    expect(await ask(9)).toBe(200)
    expect(await ask(10)).toBe(431)
    expect(handled()).toBe(3)
  })
})
