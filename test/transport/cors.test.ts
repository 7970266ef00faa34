import compression from 'compression'
import express5 from 'express'
import express4 from 'express4'
import fc from 'fast-check'
import request from 'supertest'
import { ConfigError } from '../../src/kernel/config-error.js'
import { defineStage } from '../../src/kernel/define.js'
import { refuse } from '../../src/kernel/problem.js'
import { serve, type Served } from '../../src/testing/index.js'
import { cors, type CorsOptions } from '../../src/transport/cors.js'

const APP = 'https://app.example.com'
const origins = [APP, 'https://admin.example.com:8443', 'http://localhost:3000', 'capacitor://localhost']

const preflight = ({ options }: Served, origin: string) =>
  options('/orders').set('Origin', origin).set('Access-Control-Request-Method', 'PUT')

describe('a preflight from a listed origin', () => {
  test('is answered before identity and limits, and the handler does not run', async () => {
    const asked = jest.fn<undefined, []>()
    const later = defineStage('later', () => ({ enter: asked }))
    const served = serve([cors({ origins }), later()])

    const reply = await preflight(served, APP).set('Access-Control-Request-Headers', 'x-anything').expect(204)

    expect(reply.text).toBe('')
    expect(reply.headers).toMatchObject({
      'access-control-allow-origin': APP,
      'access-control-allow-methods': 'DELETE, GET, HEAD, PATCH, POST, PUT',
      'access-control-allow-headers': 'Authorization, Content-Type, DPoP',
      'access-control-max-age': '600',
      'content-length': '0',
      vary: 'Origin',
    })
    expect(reply.headers).not.toHaveProperty('access-control-allow-credentials')
    expect(reply.headers).not.toHaveProperty('access-control-expose-headers')
    expect([asked.mock.calls.length, served.handled()]).toEqual([0, 0])
  })

  test('says what the options say', async () => {
    const served = serve(
      cors({
        origins,
        methods: ['GET'],
        allowedHeaders: ['X-Own'],
        credentials: true,
        maxAgeSeconds: 0,
      }),
    )

    const reply = await preflight(served, APP).expect(204)

    expect(reply.headers).toMatchObject({
      'access-control-allow-methods': 'GET',
      'access-control-allow-headers': 'X-Own',
      'access-control-allow-credentials': 'true',
      'access-control-max-age': '0',
    })
  })

  test('leaves empty lists out', async () => {
    const served = serve(cors({ origins, allowedHeaders: [], exposedHeaders: [] }))

    expect((await preflight(served, APP)).headers).not.toHaveProperty('access-control-allow-headers')
    expect((await served.get('/').set('Origin', APP)).headers).not.toHaveProperty(
      'access-control-expose-headers',
    )
  })
})

describe('a preflight from an unlisted origin', () => {
  test('is refused with 403, and no browser will go on', async () => {
    const served = serve(cors({ origins, credentials: true }))

    const reply = await preflight(served, 'https://evil.example').expect(403).expect('Vary', 'Origin')

    expect(JSON.parse(reply.text)).toMatchObject({ code: 'origin-not-allowed', status: 403 })
    expect(reply.text).not.toContain('evil')
    expect(accessControl(reply.headers)).toEqual([])
    expect(served.handled()).toBe(0)
  })
})

describe('OPTIONS that is no preflight', () => {
  test.each<[string, Record<string, string>]>([
    ['without Origin', { 'Access-Control-Request-Method': 'PUT' }],
    ['without Access-Control-Request-Method', { Origin: APP }],
  ])('%s is left to the application', async (_which, fields) => {
    const { options, handled } = serve(cors({ origins }))

    await options('/').set(fields).expect(200)
    expect(handled()).toBe(1)
  })
})

describe('another request', () => {
  test('from a listed origin may be read by its page', async () => {
    const reply = await serve(cors({ origins })).get('/').set('Origin', APP).expect(200)

    expect(reply.headers).toMatchObject({
      'access-control-allow-origin': APP,
      'access-control-expose-headers':
        'DPoP-Nonce, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id',
      vary: 'Origin',
    })
    expect(reply.headers).not.toHaveProperty('access-control-allow-credentials')
    expect(reply.headers).not.toHaveProperty('access-control-allow-methods')
  })

  test('from a listed origin may be read with credentials if that is wanted', async () => {
    await serve(cors({ origins, credentials: true }))
      .get('/')
      .set('Origin', APP)
      .expect('Access-Control-Allow-Credentials', 'true')
  })

  test.each<[string, Record<string, string>]>([
    ['an unlisted origin', { Origin: 'https://evil.example' }],
    ['no origin', {}],
  ])('from %s passes, unreadable by any other page', async (_who, fields) => {
    const { get, handled } = serve(cors({ origins, credentials: true }))

    const reply = await get('/').set(fields).expect(200).expect('Vary', 'Origin')

    expect(accessControl(reply.headers)).toEqual([])
    expect(handled()).toBe(1)
  })

  test('that is refused can still be read by the page that made it, and is cached apart', async () => {
    const no = defineStage('no', () => ({ enter: () => refuse('forbidden') }))
    const { get } = serve([cors({ origins }), no()])

    await get('/')
      .set('Origin', APP)
      .expect(403)
      .expect('Access-Control-Allow-Origin', APP)
      .expect('Vary', 'Origin')
    await get('/').expect(403).expect('Vary', 'Origin')
  })
})

describe.each([
  ['Express 5', express5],
  ['Express 4', express4],
])('on %s', (_name, framework) => {
  const app = framework()
    .set('env', 'test')
    .use(cors({ origins }))
    .get('/throw', () => {
      throw new Error('on purpose')
    })
    .get('/bare', (_req, res) => {
      res.getHeaderNames().forEach((name) => res.removeHeader(name))
      res.end()
    })
    .get('/vary', (_req, res) => void res.vary('Accept').end())
    .get('/overwritten', (_req, res) => void res.set('Vary', 'Accept-Encoding').end())
    .get('/star', (_req, res) => void res.set('Vary', '*').end())
    .get('/zipped', compression({ threshold: 0 }), (_req, res) => void res.json({ ok: true }))

  test.each([
    ['/throw', 500, 'Origin'],
    ['/nowhere', 404, 'Origin'],
    ['/bare', 200, 'Origin'],
    ['/vary', 200, 'Accept, Origin'],
    ['/overwritten', 200, 'Accept-Encoding, Origin'],
    ['/star', 200, '*'],
    ['/zipped', 200, 'Accept-Encoding, Origin'],
  ])('%s (%i) names the origin and varies by it', async (path, status, vary) => {
    const reply = await request(app)
      .get(path)
      .set('Origin', APP)
      .set('Accept-Encoding', 'gzip')
      .expect(status)

    expect(reply.headers['access-control-allow-origin']).toBe(APP)
    expect(reply.headers.vary).toBe(vary)
  })
})

test('a handler that names an origin itself is left alone', async () => {
  const { get } = serve(cors({ origins }), {
    handler: (_req, res) =>
      void res.setHeader('Access-Control-Allow-Origin', 'https://partner.example').end(),
  })

  const reply = await get('/').set('Origin', APP)

  expect(reply.headers['access-control-allow-origin']).toBe('https://partner.example')
})

describe('only listed origins are ever reflected (ASVS 3.4.2)', () => {
  const served = serve(cors({ origins, credentials: true }))
  const reflected = async (origin: string) =>
    (await served.get('/').set('Origin', origin)).headers['access-control-allow-origin']

  test.each(origins)('%s is', async (origin) => {
    expect(await reflected(origin)).toBe(origin)
    await preflight(served, origin).expect(204)
  })

  test.each([
    ['null', 'null'],
    ['NULL', 'NULL'],
    ['empty', ''],
    ['*', '*'],
    ['upper case', 'HTTPS://APP.EXAMPLE.COM'],
    ['another case of the host', 'https://App.example.com'],
    ['another scheme', 'http://app.example.com'],
    ['no scheme', 'app.example.com'],
    ['the default port', 'https://app.example.com:443'],
    ['another port', 'https://app.example.com:8443'],
    ['the host without its port', 'https://admin.example.com'],
    ['a longer port', 'http://localhost:30000'],
    ['a trailing slash', 'https://app.example.com/'],
    ['a path', 'https://app.example.com/x'],
    ['a trailing dot', 'https://app.example.com.'],
    ['a suffix', 'https://app.example.com.evil.example'],
    ['a suffix without a dot', 'https://app.example.comevil.example'],
    ['a prefix', 'https://evilapp.example.com'],
    ['a subdomain', 'https://x.app.example.com'],
    ['the parent', 'https://example.com'],
    ['another character for the dot', 'https://appxexample.com'],
    ['user info', 'https://app.example.com@evil.example'],
    ['user info before', 'https://evil@app.example.com'],
    ['a backslash', 'https://app.example.com\\.evil.example'],
    ['an underscore', 'https://app.example.com_.evil.example'],
    ['an encoded NUL', 'https://app.example.com%00.evil.example'],
    ['a backquote', 'https://app.example.com`.evil.example'],
    ['two in one field', `${APP} https://evil.example`],
    ['a list', `${APP}, https://evil.example`],
    ['a list of two equal ones', `${APP}, ${APP}`],
    ['a quoted one', `"${APP}"`],
    ['a longer scheme', `x${APP}`],
    ['the loopback address for its name', 'http://127.0.0.1:3000'],
    ['another app scheme', 'ionic://localhost'],
    ['file:', 'file://'],
    ['what objects inherit', 'constructor'],
    ['the prototype', '__proto__'],
  ])('%s is not', async (_trick, origin) => {
    expect(await reflected(origin)).toBeUndefined()
    await preflight(served, origin).expect(403)
  })

  test('whatever is sent', async () => {
    const { stage } = cors({ origins, credentials: true })
    const answer = (origin: string) => {
      const fields = new Map<string, string>()
      const res = {
        hasHeader: () => false,
        getHeader: () => undefined,
        setHeader: (name: string, value: string) => fields.set(name, value),
        writeHead: () => res,
        end: () => res,
      }
      const ctx = { req: { method: 'GET', headers: { origin } }, res, head: res, note: () => undefined }
      stage.enter(ctx as never)
      res.writeHead()
      return fields
    }
    const near = fc
      .tuple(fc.constantFrom(...origins), fc.nat(60), fc.nat(3), fc.string({ maxLength: 4 }))
      .map(([origin, at, cut, put]) => origin.slice(0, at) + put + origin.slice(at + cut))

    fc.assert(
      fc.property(fc.oneof(near, fc.webUrl(), fc.string()), (origin) => {
        const fields = answer(origin)
        expect(fields.get('Access-Control-Allow-Origin')).toBe(origins.includes(origin) ? origin : undefined)
        expect(fields.has('Access-Control-Allow-Credentials')).toBe(origins.includes(origin))
        expect(fields.get('Vary')).toBe('Origin')
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('dangerouslyAllowAnyOrigin', () => {
  const served = serve(cors({ dangerouslyAllowAnyOrigin: true }))

  test('says * to every origin, and never repeats one (ASVS 3.4.2)', async () => {
    await served.get('/').set('Origin', 'https://any.example').expect('Access-Control-Allow-Origin', '*')
    await preflight(served, 'https://any.example').expect(204).expect('Access-Control-Allow-Origin', '*')
  })

  test('denies null all the same', async () => {
    expect(accessControl((await served.get('/').set('Origin', 'null').expect(200)).headers)).toEqual([])
    await preflight(served, 'null').expect(403)
  })

  test.each<[CorsOptions, string, RegExp]>([
    [
      { dangerouslyAllowAnyOrigin: true, credentials: true },
      'any-origin-with-credentials',
      /list the origins/,
    ],
    [{ dangerouslyAllowAnyOrigin: true, origins: [APP] }, 'invalid-option', /exclude each other/],
  ])('refuses %j at start', (options, code, message) => {
    expect(() => cors(options)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })
})

describe('options', () => {
  test.each<[unknown, RegExp]>([
    [undefined, /cors must be an object of options/],
    [{}, /cors.origins must list at least one origin/],
    [{ origins: [] }, /cors.origins must list at least one origin/],
    [{ origins: APP }, /cors.origins must list at least one origin/],
    [{ origin: [APP] }, /cors has no option "origin". Did you mean "origins"/],
    [{ origins: ['*'] }, /write dangerouslyAllowAnyOrigin: true/],
    [{ origins: ['null'] }, /cors.origins\[0\] must not be "null"/],
    [
      { origins: [APP, `${APP}/`] },
      /cors.origins\[1\] .*no trailing slash.*write "https:\/\/app.example.com"/,
    ],
    [{ origins: [`${APP}/path?x#y`] }, /write "https:\/\/app.example.com"/],
    [{ origins: [`${APP}:443`] }, /write "https:\/\/app.example.com"/],
    [{ origins: ['http://a.example:80'] }, /write "http:\/\/a.example"/],
    [{ origins: ['HTTPS://App.Example.com'] }, /write "https:\/\/app.example.com"/],
    [{ origins: ['https://b\u00fccher.example'] }, /write "https:\/\/xn--bcher-kva.example"/],
    [{ origins: ['https://user:secret@a.example'] }, /^(?!.*secret).*write "https:\/\/a.example"/],
    [{ origins: ['https://*.example.com'] }, /must not have a wildcard/],
    [{ origins: ['app.example.com'] }, /got a string of 15 characters/],
    [{ origins: ['localhost:3000'] }, /got a string of 14 characters/],
    [{ origins: ['ftp://a.example'] }, /got a string of 15 characters/],
    [{ origins: ['capacitor://localhost/'] }, /got a string of 22 characters/],
    [{ origins: [''] }, /got an empty string/],
    [{ origins: [/example/] }, /must be a string \(patterns and functions let too much in\)/],
    [{ origins: [() => true] }, /got a function/],
    [
      { origins, methods: ['*'] },
      /cors.methods must list names one by one, without a wildcard, got a string of 1 characters/,
    ],
    [{ origins, methods: ['get'] }, /cors.methods/],
    [{ origins, methods: 'GET' }, /cors.methods must be a list/],
    [
      { origins, allowedHeaders: ['*'] },
      /cors.allowedHeaders must list names one by one, without a wildcard/,
    ],
    [{ origins, allowedHeaders: ['A, B'] }, /cors.allowedHeaders/],
    [{ origins, exposedHeaders: ['X\r\nY: 1'] }, /cors.exposedHeaders/],
    [
      { origins, credentials: 'true' },
      /cors.credentials must be true or false, got a string of 4 characters/,
    ],
    [{ origins, dangerouslyAllowAnyOrigin: 1 }, /cors.dangerouslyAllowAnyOrigin must be true or false/],
    [{ origins, maxAgeSeconds: -1 }, /cors.maxAgeSeconds must be an integer from 0 to 86400, got -1/],
    [{ origins, maxAgeSeconds: 86_401 }, /cors.maxAgeSeconds/],
    [{ origins, maxAgeSeconds: '600' }, /cors.maxAgeSeconds/],
  ])('%j is refused at start', (options, message) => {
    expect(() => cors(options as CorsOptions)).toThrow(ConfigError)
    expect(() => cors(options as CorsOptions)).toThrow(message)
  })

  test('are shown by explain', () => {
    expect(cors({ origins: [APP, APP] }).stage.describe()).toMatchObject({
      origins: [APP],
      credentials: false,
    })
    expect(cors({ dangerouslyAllowAnyOrigin: true }).stage.describe()).toMatchObject({ origins: '*' })
  })

  test.each<[CorsOptions, string[]]>([
    [{ origins }, []],
    [{ origins: ['http://127.0.0.1:1', 'http://[::1]:1'] }, []],
    [
      { origins: ['http://a.example', 'http://localhost.example'] },
      ['cors-insecure-origin', 'cors-insecure-origin'],
    ],
    [{ dangerouslyAllowAnyOrigin: true }, ['cors-any-origin']],
  ])('%j has its findings', (options, codes) => {
    expect(
      cors(options)
        .stage.findings()
        .map(({ code }) => code),
    ).toEqual(codes)
  })
})

test('report mode lets a refused preflight go on', async () => {
  const served = serve(cors({ origins }), { enforcement: () => 'report' })

  await preflight(served, 'https://evil.example').expect(200)
  expect(served.handled()).toBe(1)
})

test.each<[string, string | undefined, string]>([
  ['nothing', undefined, 'no-origin'],
  ['a listed one', APP, 'listed-origin'],
  ['an unlisted one', 'https://evil.example', 'unlisted-origin'],
])('the trace says which rule decided for %s', (_which, origin, rule) => {
  const notes: string[] = []
  const res = { writeHead: () => undefined, end: () => undefined }
  const ctx = {
    req: { method: 'GET', headers: { origin } },
    res,
    head: res,
    note: (name: string) => notes.push(name),
  }

  cors({ origins }).stage.enter(ctx as never)

  expect(notes).toEqual([rule])
})

function accessControl(headers: Record<string, string>): string[] {
  return Object.keys(headers).filter((name) => name.startsWith('access-control-'))
}
