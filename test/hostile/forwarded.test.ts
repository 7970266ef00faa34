import { basic } from '../../src/identity/basic.js'
import { memory } from '../../src/kernel/memory.js'
import { serve } from '../../src/testing/index.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { listen, sendRaw } from '../support/raw.js'

const HASH = `$scrypt$ln=15,r=8,p=3$${'A'.repeat(22)}$${'A'.repeat(43)}`

/** Addresses, which clients write to be taken for somebody else. */
const ADDRESSES: [what: string, entry: string][] = [
  ['an address', '198.51.100.1'],
  ['a loopback address', '127.0.0.1'],
  ['an address of our own network', '10.0.0.9'],
  ['an address of our own proxy', '10.0.0.2'],
  ['a chain', '198.51.100.1, 198.51.100.2, 10.0.0.1'],
  ['an address with a port', '198.51.100.1:4711'],
  ['IPv6', '2001:db8::1'],
  ['IPv6 in brackets', '[2001:db8::1]'],
  ['IPv6 in brackets with a port', '[2001:db8::1]:4711'],
  ['IPv6 with a zone', 'fe80::1%eth0'],
  ['IPv6 with an encoded zone', '[fe80::1%25eth0]:80'],
  ['a mapped address', '::ffff:198.51.100.1'],
  ['a mapped address in hexadecimal', '::ffff:c633:6401'],
  ['an address of 6to4', '2002:c633:6401::1'],
  ['a comma at the start', ',198.51.100.1'],
  ['a huge list', '198.51.100.1, '.repeat(900)],
]

/** Whatever is no address. */
const GARBAGE: [what: string, entry: string][] = [
  ['an address with a port beyond ports', '198.51.100.1:999999'],
  ['an address with no port behind its colon', '198.51.100.1:'],
  ['IPv6 with a bracket missing', '[2001:db8::1'],
  ['a compatible address', '::198.51.100.1'],
  ['octal', '0306.063.0144.01'],
  ['hexadecimal', '0xc6.0x33.0x64.0x01'],
  ['one hexadecimal number', '0xc6336401'],
  ['one decimal number', '3325256705'],
  ['a short form', '198.51.1'],
  ['five parts', '198.51.100.1.1'],
  ['a number above 255', '198.51.100.256'],
  ['a range', '198.51.100.0/24'],
  ['a wildcard', '*'],
  ['a host name', 'client.example'],
  ['localhost', 'localhost'],
  ['unknown', 'unknown'],
  ['an obfuscated name', '_hidden'],
  ['an obfuscated name that is empty', '_'],
  ['nothing', ''],
  ['spaces and tabs', ' \t '],
  ['a comma', ','],
  ['many commas', ','.repeat(500)],
  ['a comma at the end', '198.51.100.1,'],
  ['spaces within', '198.51. 100.1'],
  ['a space for a comma', '198.51.100.1 198.51.100.2'],
  ['a semicolon for a comma', '198.51.100.1; 198.51.100.2'],
  ['quotes', '"198.51.100.1"'],
  ['a quote that is never closed', '"198.51.100.1'],
  ['the form of Forwarded', 'for=198.51.100.1;proto=https'],
  ['a huge word', 'x'.repeat(12_000)],
  ['a number that grows', '198.51.100.1'.repeat(50)],
  ['bytes beyond ASCII', '\xff\xfe198.51.100.1'],
  ['digits of another script', Buffer.from('\u0661\u0669\u0668.51.100.1').toString('latin1')],
  ['an injection', "198.51.100.1' OR '1'='1"],
  ['a lookup', '${jndi:ldap://127.0.0.1/x}'],
  ['a script', '<script>alert(1)</script>'],
  ['a format', '%s%n%x'],
  ['a prototype', '__proto__'],
]

const FORGERIES = [...ADDRESSES, ...GARBAGE]

/** Fields in which some proxy or other writes the client's address. */
const FIELDS = [
  'Forwarded',
  'X-Forwarded',
  'Forwarded-For',
  'X-Forwarded-Host',
  'X-Real-IP',
  'X-Client-IP',
  'X-Cluster-Client-IP',
  'X-Original-Forwarded-For',
  'X-Originating-IP',
  'X-Remote-IP',
  'X-Remote-Addr',
  'X-ProxyUser-Ip',
  'X-Host',
  'True-Client-IP',
  'CF-Connecting-IP',
  'CF-Connecting-IPv6',
  'Fastly-Client-IP',
  'Fly-Client-IP',
  'X-Azure-ClientIP',
  'X-Appengine-User-IP',
  'Client-IP',
  'Via',
  'Remote-Addr',
  'X_Forwarded_For',
]

/** A server that lets every client in once, and what its proxies write about one of them. */
const SETTINGS: [name: string, trustProxy: number | string[], truth: string][] = [
  ['no proxy', 0, ''],
  ['no range', [], ''],
  ['a range that the peer is not in', ['10.0.0.0/8'], ''],
  ['one proxy', 1, '203.0.113.9'],
  ['two proxies', 2, '203.0.113.9, 10.0.0.2'],
  ['ranges', ['127.0.0.0/8', '10.0.0.0/8'], '203.0.113.9, 10.0.0.2'],
]

describe.each(SETTINGS)('behind %s', (_name, trustProxy, truth) => {
  const { server, handled } = serve(rateLimit({ limit: 1, windowMs: 60_000 }), { trustProxy })
  const ask = async (lines: string) =>
    (await sendRaw(server, `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n\r\n`)).status
  const written = truth === '' ? 'X: y' : `X-Forwarded-For: ${truth}`

  beforeAll(async () => {
    await listen(server)
    expect(await ask(written)).toBe(200)
  })
  afterAll(() => {
    server.close()
    expect(handled()).toBe(1)
  })

  test.each(FORGERIES)(
    '%s in front of what proxies write is no other client (ASVS 4.1.3)',
    async (_what, entry) => {
      expect(await ask(`X-Forwarded-For: ${entry}${truth === '' ? '' : `, ${truth}`}`)).toBe(429)
      expect(await ask(`X-Forwarded-For: ${entry}\r\n${written}`)).toBe(429)
    },
  )

  test.each(FIELDS)('%s makes no other client (ASVS 4.1.3)', async (field) => {
    expect(await ask(`${field}: 198.51.100.1\r\n${written}`)).toBe(429)
    expect(await ask(`${written}\r\n${field}: for=198.51.100.2`)).toBe(429)
  })
})

describe.each<[string, number | string[], string]>([
  ['one proxy', 1, ''],
  ['two proxies', 2, ', 127.0.0.1'],
  ['ranges', ['127.0.0.0/8'], ''],
])('garbage in the place that %s should have filled', (_name, trustProxy, rest) => {
  const { server, handled } = serve(rateLimit({ limit: 1, windowMs: 60_000 }), { trustProxy })
  const ask = async (lines: string) =>
    (await sendRaw(server, `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n\r\n`)).status

  beforeAll(async () => {
    await listen(server)
    expect(await ask('X: y')).toBe(200)
  })
  afterAll(() => {
    server.close()
    expect(handled()).toBe(1)
  })

  test.each(GARBAGE)('%s counts as the proxy itself', async (_what, entry) => {
    expect(await ask(`X-Forwarded-For: ${entry}${rest}`)).toBe(429)
  })
})

test('there are at least thirty forms of each kind', () => {
  expect(FORGERIES.length).toBeGreaterThanOrEqual(30)
  expect(GARBAGE.length).toBeGreaterThanOrEqual(30)
  expect(new Set(FORGERIES.map(([, entry]) => entry)).size).toBe(FORGERIES.length)
})

/** What somebody writes to be taken for having come over TLS. */
const PROTOCOLS: [what: string, value: string][] = [
  ['another scheme', 'ftp'],
  ['plain HTTP', 'http'],
  ['a longer word', 'httpsx'],
  ['a shorter word', 'http s'],
  ['a beginning', 'https/1'],
  ['a list that ends otherwise', 'https, http'],
  ['a list that ends in nothing', 'https,'],
  ['a list of spaces', 'https, '],
  ['a list with tabs', 'https,\thttp'],
  ['a semicolon', 'https; http'],
  ['a space for a comma', 'https http'],
  ['quotes', '"https"'],
  ['single quotes', "'https'"],
  ['a URL', 'https://'],
  ['a colon', 'https:'],
  ['the form of Forwarded', 'proto=https'],
  ['a word for it', 'on'],
  ['true', 'true'],
  ['a number', '1'],
  ['a port', '443'],
  ['SSL', 'ssl'],
  ['TLS', 'tls'],
  ['wss', 'wss'],
  ['percent-encoding', '%68ttps'],
  ['a letter of another alphabet', Buffer.from('htt\u0440s').toString('latin1')],
  ['a long s', Buffer.from('http\u017f').toString('latin1')],
  ['a space without width', Buffer.from('https\u200b').toString('latin1')],
  ['a no-break space', 'https\xa0'],
  ['an inherited name', '__proto__'],
  ['a lookup', '${jndi:ldap://127.0.0.1/x}'],
  ['nothing', ''],
  ['a comma', ','],
  ['a huge list', `${'https, '.repeat(1_500)}http`],
]
/** Fields by which some proxy or other tells it. */
const TLS_FIELDS = [
  ...[
    'Forwarded: proto=https',
    'Forwarded: for=1.2.3.4;proto=https',
    'X-Forwarded-Protocol: https',
    'X-Forwarded-Ssl: on',
  ],
  ...[
    'X-Forwarded-Scheme: https',
    'X-Url-Scheme: https',
    'Front-End-Https: on',
    'X-Scheme: https',
    'X-Forwarded-Port: 443',
  ],
  ...[
    'X-Forwarded-Host: https://a',
    'CloudFront-Forwarded-Proto: https',
    'X_Forwarded_Proto: https',
    'Via: https/1.1 a',
  ],
]

test('there are at least thirty forms of what only looks like TLS', () => {
  expect(new Set(PROTOCOLS.map(([, value]) => value)).size).toBeGreaterThanOrEqual(30)
})

describe.each<[string, number | string[]]>([
  ['nobody', 0],
  ['one proxy', 1],
  ['ranges', ['127.0.0.0/8']],
])('a password over plain HTTP, trusting %s', (_name, trustProxy) => {
  const { server, handled } = serve(basic({ users: { ann: HASH }, store: memory() }), { trustProxy })
  beforeAll(() => listen(server))
  afterAll(() => void server.close())
  const codeOf = async (...lines: string[]) => {
    const fields = [...lines, `Authorization: Basic ${Buffer.from('ann:x').toString('base64')}`]
    const { body } = await sendRaw(
      server,
      `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields.join('\r\n')}\r\n\r\n`,
    )
    expect(handled()).toBe(0)
    return (JSON.parse(body) as { code: string }).code
  }

  test.each(PROTOCOLS)('with %s for its protocol is not even looked at', async (_what, value) => {
    expect(await codeOf(`X-Forwarded-Proto: ${value}`)).toBe('tls-required')
    expect(await codeOf('X-Forwarded-Proto: https', `X-Forwarded-Proto: ${value || 'http'}`)).toBe(
      'tls-required',
    )
  })

  test.each(TLS_FIELDS)('with %s is not even looked at', async (line) => {
    expect(await codeOf(line)).toBe('tls-required')
    expect(await codeOf(line, 'X-Forwarded-Proto: http')).toBe('tls-required')
  })
})
