import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { clientResolver, type TrustProxy } from '../../src/kernel/client.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { defineStage } from '../../src/kernel/define.js'
import { serve } from '../../src/testing/index.js'
import { listen, sendRaw } from '../support/raw.js'

const requestFrom = (remoteAddress: string | undefined, headers: Record<string, string> = {}) =>
  ({ socket: { remoteAddress }, headers, rawHeaders: [] }) as unknown as IncomingMessage

const resolve = (trust: TrustProxy, peer: string | undefined, forwarded?: string) =>
  clientResolver(trust)(requestFrom(peer, forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }))

describe('without declared proxies the peer is the client, whatever it claims (ASVS 4.1.3)', () => {
  test.each<[string, Record<string, string>]>([
    ['nothing', {}],
    ['X-Forwarded-For', { 'x-forwarded-for': '198.51.100.1' }],
    ['a loopback address', { 'x-forwarded-for': '127.0.0.1' }],
    ['a chain', { 'x-forwarded-for': '198.51.100.1, 10.0.0.1' }],
    ['Forwarded', { forwarded: 'for=198.51.100.1' }],
    ['Forwarded for IPv6', { forwarded: 'for="[2001:db8::1]:80"' }],
    ['X-Real-IP', { 'x-real-ip': '198.51.100.1' }],
    ['X-Client-IP', { 'x-client-ip': '198.51.100.1' }],
    ['X-Cluster-Client-IP', { 'x-cluster-client-ip': '198.51.100.1' }],
    ['X-Original-Forwarded-For', { 'x-original-forwarded-for': '198.51.100.1' }],
    ['X-Forwarded', { 'x-forwarded': '198.51.100.1' }],
    ['Forwarded-For', { 'forwarded-for': '198.51.100.1' }],
    ['CF-Connecting-IP', { 'cf-connecting-ip': '198.51.100.1' }],
    ['True-Client-IP', { 'true-client-ip': '198.51.100.1' }],
    ['Fastly-Client-IP', { 'fastly-client-ip': '198.51.100.1' }],
    ['Via', { via: '1.1 198.51.100.1' }],
  ])('%s', (_claim, headers) => {
    expect(clientResolver(0)(requestFrom('203.0.113.9', headers)).address).toBe('203.0.113.9')
    expect(clientResolver([])(requestFrom('203.0.113.9', headers)).address).toBe('203.0.113.9')
  })
})

test.each([
  ['Forwarded', { forwarded: 'for=198.51.100.1' }],
  ['X-Real-IP', { 'x-real-ip': '198.51.100.1' }],
  ['CF-Connecting-IP', { 'cf-connecting-ip': '198.51.100.1' }],
])('%s is not read behind a declared proxy either (ASVS 4.1.3)', (_name, headers) => {
  expect(clientResolver(1)(requestFrom('10.0.0.1', headers)).address).toBe('10.0.0.1')
  expect(
    clientResolver(1)(requestFrom('10.0.0.1', { ...headers, 'x-forwarded-for': '203.0.113.9' })).address,
  ).toBe('203.0.113.9')
})

describe('a number of hops (ASVS 4.1.3)', () => {
  test.each<[number, string | undefined, string]>([
    [0, '203.0.113.9', '10.0.0.1'],
    [1, undefined, '10.0.0.1'],
    [1, '', '10.0.0.1'],
    [1, '203.0.113.9', '203.0.113.9'],
    [1, '198.51.100.1, 203.0.113.9', '203.0.113.9'],
    [1, '127.0.0.1, 10.0.0.2, 203.0.113.9', '203.0.113.9'],
    [2, '203.0.113.9', '203.0.113.9'],
    [2, '203.0.113.9, 10.0.0.2', '203.0.113.9'],
    [2, '198.51.100.1, 203.0.113.9, 10.0.0.2', '203.0.113.9'],
    [3, '198.51.100.1, 203.0.113.9, 10.0.0.3, 10.0.0.2', '203.0.113.9'],
    [32, '203.0.113.9', '203.0.113.9'],
  ])('%i behind 10.0.0.1 reads %j as %s', (hops, forwarded, address) => {
    expect(resolve(hops, '10.0.0.1', forwarded).address).toBe(address)
  })

  test.each([
    ['many forged hops', '198.51.100.1, '.repeat(500) + '203.0.113.9'],
    ['many commas', ','.repeat(5_000) + '203.0.113.9'],
    ['a long word', 'x'.repeat(10_000) + ',203.0.113.9'],
    ['its own bracket', '[,203.0.113.9'],
    ['quotes', '"198.51.100.1, 203.0.113.9'],
    ['a parameter', 'for=198.51.100.1;by=10.0.0.1, 203.0.113.9'],
    ['spaces and tabs', '198.51.100.1 ,\t 203.0.113.9 '],
    ['no space', '198.51.100.1,203.0.113.9'],
  ])('is not fooled by %s before the hop that the proxy wrote', (_what, forwarded) => {
    expect(resolve(1, '10.0.0.1', forwarded).address).toBe('203.0.113.9')
  })

  test('holds for several fields, which arrive joined', async () => {
    const seen: (string | undefined)[] = []
    const see = defineStage('see', () => ({ enter: ({ clientIp }) => void seen.push(clientIp) }))
    const { server } = serve(see(), { trustProxy: 2 })

    await sendRaw(
      server,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n' +
        'X-Forwarded-For: 198.51.100.1\r\nx-forwarded-for: 203.0.113.9\r\nX-FORWARDED-FOR: 10.0.0.2\r\n\r\n',
    )

    expect(seen).toEqual(['203.0.113.9'])
  })

  // Node drops what stands behind the thousandth field, the one that the proxy added among it.
  test('does not hold where fields may be missing', async () => {
    const seen: (string | undefined)[] = []
    const see = defineStage('see', () => ({ enter: ({ clientIp }) => void seen.push(clientIp) }))
    const { server } = serve(see(), { trustProxy: 1 })
    await listen(server)
    for (const junk of [900, 996, 997, 2_000]) {
      await sendRaw(
        server,
        `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 198.51.100.1\r\n${'a: b\r\n'.repeat(junk)}` +
          'X-Forwarded-For: 203.0.113.9\r\n\r\n',
      )
    }
    server.maxHeadersCount = 3
    await sendRaw(
      server,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n',
    )
    server.close()

    expect(seen).toEqual(['203.0.113.9', '127.0.0.1', '127.0.0.1', '127.0.0.1', '127.0.0.1'])
  })

  test('reaches past a proxy on a Unix socket, which has no address', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'secure-api-'))
    const path = join(directory, 'socket')
    const found: unknown[] = []
    const server = createServer((req, res) => {
      found.push(
        clientResolver(1)(req).address,
        clientResolver(0)(req).key,
        clientResolver(['10.0.0.0/8'])(req).key,
      )
      res.end()
    })
    await new Promise<void>((done) => server.listen(path, done))

    await new Promise((done) =>
      httpRequest({ socketPath: path, headers: { 'X-Forwarded-For': '203.0.113.9' } }, (res) =>
        res.resume().on('end', done),
      ).end(),
    )
    server.close()
    rmSync(directory, { recursive: true })

    expect(found).toEqual(['203.0.113.9', 'unknown', 'unknown'])
  })
})

describe('CIDR ranges (ASVS 4.1.3)', () => {
  const ranges = ['10.0.0.0/8', '2001:db8:ff::/48']

  test.each<[string, string, string | undefined, string]>([
    ['a peer of ours', '10.1.2.3', '203.0.113.9', '203.0.113.9'],
    ['a foreign peer', '203.0.113.1', '198.51.100.1', '203.0.113.1'],
    ['a chain of ours', '10.1.2.3', '203.0.113.9, 10.9.9.9, 2001:db8:ff::1', '203.0.113.9'],
    ['a forged start', '10.1.2.3', '198.51.100.1, 203.0.113.9, 10.9.9.9', '203.0.113.9'],
    ['forged hops of ours before a foreign one', '10.1.2.3', '10.0.0.7, 203.0.113.9', '203.0.113.9'],
    ['only ours', '10.1.2.3', '10.0.0.8, 10.0.0.7', '10.0.0.8'],
    ['no field', '10.1.2.3', undefined, '10.1.2.3'],
    ['IPv6 outside', '2001:db8:fe::1', '198.51.100.1', '2001:db8:fe::1'],
    ['IPv4 seen through a dual-stack socket', '::ffff:10.1.2.3', '203.0.113.9', '203.0.113.9'],
    ['IPv4 through a dual-stack socket, foreign', '::ffff:11.1.2.3', '198.51.100.1', '11.1.2.3'],
    ['a mapped hop', '10.1.2.3', '203.0.113.9, ::FFFF:10.9.9.9', '203.0.113.9'],
    ['a hop with a port', '10.1.2.3', '203.0.113.9:5678, 10.9.9.9:80, [2001:db8:ff::1]:443', '203.0.113.9'],
  ])('%s', (_which, peer, forwarded, address) => {
    expect(resolve(ranges, peer, forwarded).address).toBe(address)
  })

  test('in the mapped notation mean the IPv4 range', () => {
    expect(resolve(['::ffff:10.0.0.0/104'], '10.1.2.3', '203.0.113.9').address).toBe('203.0.113.9')
    expect(resolve(['::ffff:10.0.0.0/104'], '11.1.2.3', '203.0.113.9').address).toBe('11.1.2.3')
  })

  test('may be all that is private, and the largest public blocks', () => {
    for (const [range, peer] of [
      ['10.0.0.0/8', '10.255.255.255'],
      ['127.0.0.0/8', '127.0.0.1'],
      ['172.16.0.0/12', '172.31.0.1'],
      ['100.64.0.0/10', '100.127.0.1'],
      ['17.0.0.0/8', '17.1.2.3'],
      ['::ffff:10.0.0.0/104', '10.1.2.3'],
      ['::ffff:203.0.113.7/128', '203.0.113.7'],
      ['fc00::/7', 'fdff::1'],
      ['fd00::/8', 'fd12::1'],
      ['fe80::/10', 'febf::1'],
      ['2630::/16', '2630:1::1'],
      ['64:ff9b::a00:0/104', '64:ff9b::a01:203'],
      ['::1/128', '::1'],
    ] as const)
      expect([range, resolve([range], peer, '198.51.100.7').address]).toEqual([range, '198.51.100.7'])
  })

  test('are refused if any of them trusts more of IPv4 than a /8, however it is written', () => {
    const range = fc.tuple(
      fc.constantFrom('', '::ffff:', '64:ff9b::'),
      fc.ipV4(),
      fc.integer({ min: 0, max: 32 }),
    )
    fc.assert(
      fc.property(range, ([prefix, network, bits]) => {
        const start = () => clientResolver([`${prefix}${network}/${bits + (prefix === '' ? 0 : 96)}`])
        if (bits < 8) expect(start).toThrow(expect.objectContaining({ code: 'permissive-trust-proxy' }))
        else start()
      }),
    )
  })

  test('stop after 32 hops, wherever that is', () => {
    const chain = Array.from({ length: 100 }, (_, i) => `10.0.0.${i}`).join(', ')

    expect(resolve(ranges, '10.1.2.3', chain).address).toBe('10.0.0.68')
  })
})

describe('a hop', () => {
  test.each([
    ['1.2.3.4', '1.2.3.4'],
    ['1.2.3.4:5678', '1.2.3.4'],
    ['2001:DB8::A', '2001:db8::a'],
    ['2001:db8:0:0:0:0:0:1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:80', '2001:db8::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:1.2.3.4', '1.2.3.4'],
    ['::ffff:102:304', '1.2.3.4'],
    ['[::ffff:1.2.3.4]:80', '1.2.3.4'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:80', 'fe80::1'],
  ])('%s is %s', (hop, address) => {
    expect(resolve(1, '10.0.0.1', `198.51.100.1, ${hop}`).address).toBe(address)
  })

  test.each([
    [''],
    ['unknown'],
    ['_hidden'],
    ['-'],
    ['null'],
    ['localhost'],
    ['client.example'],
    ['1.2.3'],
    ['1.2.3.4.5'],
    ['1.2.3.256'],
    ['01.2.3.4'],
    ['0x7f.0.0.1'],
    ['0x7f000001'],
    ['2130706433'],
    ['1.2.3.4/32'],
    ['1.2.3.4:'],
    ['1.2.3.4:x'],
    ['1.2.3.4:123456'],
    ['1.2.3.4%eth0'],
    ['1.2.3.4 5.6.7.8'],
    ['1.2.3.4;5.6.7.8'],
    ['"1.2.3.4"'],
    ['for=1.2.3.4'],
    ['::1.2.3.4'],
    ['64:ff9b::1.2.3.4'],
    ['::ffff:010.0.0.1'],
    ['::ffff:1.2.3'],
    ['1::2::3'],
    ['1:2:3:4:5:6:7:8:9'],
    ['2001:db8::g'],
    ['[2001:db8::1'],
    ['2001:db8::1]:80'],
    ['[2001:db8::1]80'],
    ['[]'],
    ['[[::1]]'],
    ['%'],
    ['fe80::1%' + 'x'.repeat(100)],
    ['\u0661.2.3.4'],
    ["1.2.3.4'--"],
    ['${jndi:ldap://x}'],
  ])('%j is malformed, so the proxy that wrote it stands for the client', (hop) => {
    expect(resolve(1, '10.0.0.1', `198.51.100.1, ${hop}`).address).toBe('10.0.0.1')
    expect(resolve(2, '10.0.0.1', `198.51.100.1, ${hop}, 10.0.0.2`).address).toBe('10.0.0.2')
  })
})

describe('the key to count by', () => {
  test.each<[string | undefined, string]>([
    ['203.0.113.9', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2ff::1', '20010db8000102/56'],
    ['2001:db8:1:200::', '20010db8000102/56'],
    ['2001:db8:1:300::', '20010db8000103/56'],
    ['::1', '00000000000000/56'],
    ['fe80::1%eth0', 'fe800000000000/56'],
    [undefined, 'unknown'],
    ['nonsense', 'unknown'],
  ])('of %s is %s', (peer, key) => {
    expect(resolve(0, peer).key).toBe(key)
  })

  const bytes = fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .filter((b) => !b.subarray(0, 10).every((x) => x === 0))
  const keyOf = (address: Uint8Array) => resolve(0, ipaddr.fromByteArray([...address]).toString()).key

  test('is the same within a /56 and differs between two', () => {
    fc.assert(
      fc.property(bytes, bytes, fc.nat(55), (a, b, bit) => {
        const neighbour = Uint8Array.from([...a.subarray(0, 7), ...b.subarray(7)])
        const stranger = Uint8Array.from(a)
        stranger[bit >> 3]! ^= 0x80 >> (bit & 7)

        expect(keyOf(neighbour)).toBe(keyOf(a))
        if (!stranger.subarray(0, 10).every((x) => x === 0)) expect(keyOf(stranger)).not.toBe(keyOf(a))
      }),
    )
  })

  test('never depends on what the client wrote, however it is put', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.ipV4(), (forged, real) => {
        expect(resolve(1, '10.0.0.1', `${forged}, ${real}`)).toEqual({ address: real, key: real })
        expect(resolve(['10.0.0.0/8'], '203.0.113.9', forged).key).toBe('203.0.113.9')
      }),
    )
  })
})

describe('trustProxy', () => {
  test.each<[unknown, string, RegExp]>([
    [true, 'permissive-trust-proxy', /give the number of proxies, or their CIDR ranges/],
    [['0.0.0.0/0'], 'permissive-trust-proxy', /0.0.0.0\/0 would let every client choose/],
    [['10.0.0.0/8', '::/0'], 'permissive-trust-proxy', /::\/0 would let every client choose/],
    [['0.0.0.0/1', '128.0.0.0/1'], 'permissive-trust-proxy', /0.0.0.0\/1 .*wider than \/8$/],
    [['192.0.0.0/7'], 'permissive-trust-proxy', /wider than \/8$/],
    [['::/1', '8000::/1'], 'permissive-trust-proxy', /::\/1 .*wider than \/104$/],
    [['8000::/1'], 'permissive-trust-proxy', /wider than \/16$/],
    [['2000::/3'], 'permissive-trust-proxy', /wider than \/16$/],
    [['2a00::/15'], 'permissive-trust-proxy', /wider than \/16$/],
    [['fc00::/6'], 'permissive-trust-proxy', /wider than \/16$/],
    [['fe80::/9'], 'permissive-trust-proxy', /wider than \/16$/],
    [['::ffff:0:0/96'], 'permissive-trust-proxy', /wider than \/104$/],
    [['::ffff:0.0.0.0/97', '::ffff:128.0.0.0/97'], 'permissive-trust-proxy', /wider than \/104$/],
    [['::ffff:10.0.0.0/103'], 'permissive-trust-proxy', /wider than \/104$/],
    [['::ffff:0:0/95'], 'permissive-trust-proxy', /wider than \/104$/],
    [['::ffff:0:0/80'], 'permissive-trust-proxy', /wider than \/104$/],
    [['::/64'], 'permissive-trust-proxy', /wider than \/104$/],
    [['64:ff9b::/96'], 'permissive-trust-proxy', /wider than \/104$/],
    [['64:ff9b::/32'], 'permissive-trust-proxy', /wider than \/104$/],
    [false, 'invalid-option', /trustProxy must be an integer from 0 to 32, got false/],
    [-1, 'invalid-option', /got -1/],
    [33, 'invalid-option', /got 33/],
    [1.5, 'invalid-option', /got 1.5/],
    [NaN, 'invalid-option', /got NaN/],
    ['1', 'invalid-option', /got a string of 1 characters/],
    ['loopback', 'invalid-option', /got a string of 8 characters/],
    [null, 'invalid-option', /got null/],
    [{}, 'invalid-option', /got an object/],
    [['10.0.0.1'], 'invalid-option', /got a string of 8 characters; for one address, end it in \/32/],
    [['::1'], 'invalid-option', /end it in \/128/],
    [['10.0.0.0/33'], 'invalid-option', /got a string of 11 characters/],
    [['10/8'], 'invalid-option', /got a string of 4 characters/],
    [['010.0.0.0/8'], 'invalid-option', /got a string of 11 characters/],
    [['loopback'], 'invalid-option', /got a string of 8 characters/],
    [[''], 'invalid-option', /got an empty string/],
    [[8], 'invalid-option', /got 8/],
  ])('%j is refused at start', (trust, code, message) => {
    expect(() => clientResolver(trust as TrustProxy)).toThrow(ConfigError)
    expect(() => clientResolver(trust as TrustProxy)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })
})
