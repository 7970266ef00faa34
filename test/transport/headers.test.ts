import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import connect from 'connect'
import express5 from 'express'
import express4 from 'express4'
import request from 'supertest'
import { ConfigError } from '../../src/kernel/config-error.js'
import type { SecurityContext } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import { refuse } from '../../src/kernel/problem.js'
import type { Middleware } from '../../src/kernel/stage.js'
import { cors } from '../../src/transport/cors.js'
import { headers, type HeadersOptions } from '../../src/transport/headers.js'
import { serve } from '../../src/testing/index.js'

const API = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
}

const known = defineStage('known', () => ({
  enter(ctx: SecurityContext) {
    ctx.principal = { id: 'i|alice', subject: 'alice', method: 'test', claims: {} }
  },
}))

describe('the preset', () => {
  test.each<[string, HeadersOptions | undefined]>([
    ['nothing', undefined],
    ['{}', {}],
    ["preset: 'api'", { preset: 'api', helmet: {}, noStore: 'authenticated' }],
  ])('for APIs is what %s means (ASVS 3.4.1, 3.4.3, 3.4.4, 3.4.5, 3.4.6)', async (_what, options) => {
    const { get } = serve(options === undefined ? headers() : headers(options))

    const reply = await get('/').expect(200)

    expect(reply.headers).toMatchObject(API)
    expect(reply.headers).not.toHaveProperty('cache-control')
  })

  test('for pages is what helmet says of itself', async () => {
    const reply = await serve(headers({ preset: 'html' }))
      .get('/')
      .expect(200)

    expect(reply.headers['content-security-policy']).toContain("default-src 'self';")
    expect(reply.headers['content-security-policy']).toContain(";frame-ancestors 'self';")
    expect(reply.headers['x-frame-options']).toBe('SAMEORIGIN')
  })
})

describe('helmet options', () => {
  test.each(Object.entries(OFF()))('switch %s off with false', async (option, header) => {
    const reply = await serve(headers({ helmet: { [option]: false } })).get('/')

    expect(reply.headers).not.toHaveProperty(header)
    expect(Object.keys(API).filter((name) => !(name in reply.headers))).toEqual([header])
  })

  test.each<[string, HeadersOptions['helmet'], string, string]>([
    ['an alias', { frameguard: { action: 'sameorigin' } }, 'x-frame-options', 'SAMEORIGIN'],
    ['true', { xFrameOptions: true }, 'x-frame-options', 'SAMEORIGIN'],
    [
      'options',
      { hsts: { maxAge: 63_072_000, preload: true } },
      'strict-transport-security',
      'max-age=63072000; includeSubDomains; preload',
    ],
    [
      'what is off by default',
      { crossOriginEmbedderPolicy: true },
      'cross-origin-embedder-policy',
      'require-corp',
    ],
    ['undefined', { xFrameOptions: undefined } as never, 'x-frame-options', 'DENY'],
    [
      'a directive, in either spelling, beside those of the preset',
      {
        contentSecurityPolicy: { directives: { frameAncestors: ['https://a.example'], 'report-to': 'csp' } },
      },
      'content-security-policy',
      "default-src 'none';frame-ancestors https://a.example;report-to csp",
    ],
    [
      'a policy of your own',
      { contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'self'"] } } },
      'content-security-policy',
      "default-src 'self'",
    ],
    [
      'reportOnly',
      { contentSecurityPolicy: { reportOnly: true } },
      'content-security-policy-report-only',
      "default-src 'none';frame-ancestors 'none'",
    ],
  ])('take %s', async (_what, helmet, header, value) => {
    const reply = await serve(headers({ helmet: helmet! })).get('/')

    expect(reply.headers[header]).toBe(value)
  })

  test.each<[string, unknown, RegExp]>([
    ['an unknown option', { helmt: {} }, /headers has no option "helmt". Did you mean "helmet"/],
    ['an unknown preset', { preset: 'json' }, /headers.preset must be one of 'api', 'html'/],
    [
      'noStore: true',
      { noStore: true },
      /headers.noStore must be one of 'authenticated', 'always', got true/,
    ],
    [
      'a misspelt header',
      { helmet: { contentSecurtyPolicy: false } },
      /Did you mean "contentSecurityPolicy"/,
    ],
    [
      'a header twice',
      { helmet: { hsts: true, strictTransportSecurity: true } },
      /sets strictTransportSecurity twice/,
    ],
    [
      'options where there are none',
      { helmet: { noSniff: {} } },
      /headers.helmet.noSniff must be true or false, got an object/,
    ],
    [
      'a string',
      { helmet: { xFrameOptions: 'deny' } },
      /headers.helmet.xFrameOptions must be an object of options/,
    ],
    [
      'null',
      { helmet: { referrerPolicy: null } },
      /headers.helmet.referrerPolicy must be an object of options, got null/,
    ],
    [
      'what helmet refuses',
      { helmet: { referrerPolicy: { policy: 'none' } } },
      /headers.helmet: Referrer-Policy received an unexpected/,
    ],
    [
      'an unquoted keyword',
      { helmet: { contentSecurityPolicy: { directives: { scriptSrc: ['self'] } } } },
      /"self" should be quoted/,
    ],
    [
      'a directive twice',
      { helmet: { contentSecurityPolicy: { directives: { 'script-src': [], scriptSrc: [] } } } },
      /duplicate directive "script-src"/,
    ],
    [
      'a header injection',
      { helmet: { contentSecurityPolicy: { directives: { scriptSrc: ["'self'\r\nX: 1"] } } } },
      /headers.helmet: Invalid character in header content/,
    ],
    ['a list', { helmet: [] }, /headers.helmet must be an object/],
  ])('refuse %s at start', (_what, options, message) => {
    expect(() => headers(options as HeadersOptions)).toThrow(ConfigError)
    expect(() => headers(options as HeadersOptions)).toThrow(message)
  })

  test.each<[string, unknown]>([
    ['in a list', [() => "'nonce-1'"]],
    ['in a set', new Set([() => "'nonce-1'"])],
    ['alone', () => "'nonce-1'"],
  ])('refuse a function %s, and say where a nonce goes', (_where, directive) => {
    const options = { helmet: { contentSecurityPolicy: { directives: { scriptSrc: directive } } } }

    expect(() => headers(options as HeadersOptions)).toThrow(
      expect.objectContaining({
        code: 'dynamic-header',
        message: expect.stringMatching(/scriptSrc.*in its handler/),
      }),
    )
  })
})

describe.each<[string, () => Doors]>([
  ['Express 5', () => express(express5)],
  ['Express 4', () => express(express4)],
  ['Connect', connected],
])('on %s', (_framework, doors) => {
  describe.each(['inside', 'in front'] as const)('%s', (place) => {
    const open = (options?: HeadersOptions) => {
      const { inside, front } = doors()
      return request(createServer((place === 'inside' ? inside : front)(headers(options))))
    }

    test.each([
      ['a reply', '/ok', 200],
      ['404', '/nowhere', 404],
      ['a handler that throws', '/throw', 500],
      ['a handler that takes every header off', '/bare', 200],
      ['a handler that names headers in writeHead', '/head', 202],
      ['a handler that streams', '/stream', 200],
      ['304', '/unchanged', 304],
      ['204', '/empty', 204],
    ])(
      '%s has every header and no X-Powered-By (ASVS 3.4.1, 3.4.3-3.4.6, 13.4.6)',
      async (_what, path, status) => {
        const reply = await open().get(path).expect(status)

        expect(reply.headers).toMatchObject(API)
        expect(reply.headers).not.toHaveProperty('x-powered-by')
      },
    )

    test('HEAD and OPTIONS have them, too', async () => {
      expect((await open().head('/ok')).headers).toMatchObject(API)
      expect((await open().options('/ok')).headers).toMatchObject(API)
    })

    test('what a handler sets wins', async () => {
      const reply = await open().get('/own').expect(200)

      expect(reply.headers['content-security-policy']).toBe("default-src 'self'")
      expect(reply.headers['x-frame-options']).toBe('SAMEORIGIN')
      expect(reply.headers['x-content-type-options']).toBe('nosniff')
    })

    test('an error page loads nothing and keeps who may frame it, also with the preset for pages', async () => {
      const reply = await open({ preset: 'html' }).get('/throw').expect(500)

      expect(reply.headers['content-security-policy']).toBe("default-src 'none';frame-ancestors 'self'")
    })

    test('an error page keeps its own policy where ours is off', async () => {
      const reply = await open({ helmet: { contentSecurityPolicy: false } })
        .get('/throw')
        .expect(500)

      expect(reply.headers['content-security-policy']).toBe("default-src 'none'")
    })
  })
})

test('X-Powered-By stays if that is wanted', async () => {
  const app = express5().use(headers({ helmet: { xPoweredBy: false } }))

  await request(app).get('/').expect('X-Powered-By', 'Express')
})

describe('no-store', () => {
  const cases: [string, boolean, HeadersOptions['noStore'], string | undefined, string | undefined][] = [
    ['a known caller', true, undefined, undefined, 'no-store'],
    ['an unknown caller', false, undefined, undefined, undefined],
    [
      'a known caller, where the handler says otherwise',
      true,
      undefined,
      'private, max-age=60',
      'private, max-age=60',
    ],
    [
      'a known caller, where the file sender says what it always says',
      true,
      undefined,
      'public, max-age=0',
      'no-store',
    ],
    [
      'an unknown caller, where the file sender says what it always says',
      false,
      undefined,
      'public, max-age=0',
      'public, max-age=0',
    ],
    ['anybody, with always', false, 'always', undefined, 'no-store'],
    ['anybody, with always, where the handler says otherwise', false, 'always', 'max-age=60', 'max-age=60'],
    ['nobody, with false', true, false, undefined, undefined],
  ]
  test.each(cases)('is for %s (ASVS 14.3.2)', async (_who, principal, noStore, own, expected) => {
    const stage = headers({ ...(noStore !== undefined && { noStore }) })
    const { get } = serve(principal ? [stage, known()] : [stage], {
      handler: (_req, res) => {
        if (own !== undefined) res.setHeader('Cache-Control', own)
        res.end('{}')
      },
    })

    expect((await get('/')).headers['cache-control']).toBe(expected)
  })

  test('covers files sent to known callers, which Express would let shared caches keep', async () => {
    const app = express5()
      .use(headers())
      .use(known())
      .get('/file', (_req, res) => res.sendFile(__filename))

    await request(app).get('/file').expect(200).expect('Cache-Control', 'no-store')
  })
})

test('a refusal has every header, and is a problem with its charset (ASVS 3.4.4, 4.1.1)', async () => {
  const no = defineStage('no', () => ({ enter: () => refuse('forbidden') }))
  const { get, handled } = serve([headers(), no()])

  const reply = await get('/').expect(403).expect('Content-Type', 'application/problem+json; charset=utf-8')

  expect(reply.headers).toMatchObject({ ...API, 'cache-control': 'no-store' })
  expect(handled()).toBe(0)
})

test('a refusal with the policy of error pages is framed by nobody either', async () => {
  const policy = { 'Content-Security-Policy': "default-src 'none'" }
  const no = defineStage('no', () => ({ enter: () => refuse('forbidden', { headers: policy }) }))
  const { get, handled } = serve([headers(), no()])

  const reply = await get('/').expect(403)
  expect(reply.headers['content-security-policy']).toBe("default-src 'none';frame-ancestors 'none'")
  expect(handled()).toBe(0)
})

test('a stage that breaks has every header', async () => {
  const sick = defineStage('sick', () => ({ enter: () => Promise.reject(new Error('no')) }))

  expect((await serve([headers(), sick()]).get('/').expect(500)).headers).toMatchObject(API)
})

test('a preflight has every header, answered and refused', async () => {
  const { options } = serve([headers(), cors({ origins: ['https://app.example'] })])
  const ask = (origin: string) =>
    options('/').set('Origin', origin).set('Access-Control-Request-Method', 'PUT')

  expect((await ask('https://app.example').expect(204)).headers).toMatchObject(API)
  expect((await ask('https://evil.example').expect(403)).headers).toMatchObject(API)
})

test('explain shows what is sent', () => {
  expect(headers({ helmet: { xXssProtection: false } }).stage.describe()).toEqual({
    preset: 'api',
    noStore: 'authenticated',
    removed: ['X-Powered-By'],
    set: expect.objectContaining({ 'X-Frame-Options': 'DENY' }),
  })
})

describe('findings', () => {
  test.each<[string, HeadersOptions, string[]]>([
    ['the defaults', {}, []],
    ['the preset for pages', { preset: 'html' }, []],
    ['no HSTS', { helmet: { hsts: false } }, ['hsts-off']],
    ['HSTS for a day', { helmet: { hsts: { maxAge: 86_400 } } }, ['hsts-short']],
    ['no policy', { helmet: { contentSecurityPolicy: false } }, ['csp-off']],
    ['a policy that only reports', { helmet: { contentSecurityPolicy: { reportOnly: true } } }, ['csp-off']],
    [
      'a policy without frame-ancestors',
      { helmet: { contentSecurityPolicy: { directives: { frameAncestors: null } } } },
      ['csp-frame-ancestors-missing'],
    ],
    ['no nosniff', { helmet: { noSniff: false } }, ['nosniff-off']],
    ['no referrer policy', { helmet: { referrerPolicy: false } }, ['referrer-policy-weak']],
    ['full referrers', { helmet: { referrerPolicy: { policy: 'unsafe-url' } } }, ['referrer-policy-weak']],
    ['caching of authenticated answers', { noStore: false }, ['no-store-off']],
  ])('name %s', (_what, options, codes) => {
    expect(
      headers(options)
        .stage.findings()
        .map(({ code }) => code),
    ).toEqual(codes)
  })
})

/** A framework with one application, entered through our middleware or behind it. */
interface Doors {
  inside: (ours: Middleware) => RequestListener
  front: (ours: Middleware) => RequestListener
}

function express(framework: typeof express5): Doors {
  const routes = () => {
    const router = framework.Router()
    for (const [path, handler] of Object.entries(HANDLERS)) router.all(path, (req, res) => handler(req, res))
    return router
  }
  return {
    inside: (ours) => quiet(framework()).use(ours).use(routes()),
    front: (ours) => {
      const app = quiet(framework()).use(routes())
      return (req, res) => ours(req, res, () => app(req, res))
    },
  }
}

/** Express logs errors to the console unless it is under test. */
function quiet<App extends { set(name: string, value: unknown): unknown }>(app: App): App {
  app.set('env', 'test')
  return app
}

function connected(): Doors {
  const routes = () => {
    const app = connect()
    for (const [path, handler] of Object.entries(HANDLERS)) {
      app.use(path, (req: IncomingMessage, res: ServerResponse) => handler(req, res))
    }
    return app
  }
  return {
    inside: (ours) => connect().use(ours).use(routes()),
    front: (ours) => {
      const app = routes()
      return (req, res) => ours(req, res, () => app(req, res))
    },
  }
}

const HANDLERS: Record<string, (req: IncomingMessage, res: ServerResponse) => void> = {
  '/ok': (_req, res) => {
    res.end('ok')
  },
  '/throw': () => {
    throw new Error('on purpose')
  },
  '/bare': (_req, res) => {
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    res.end('bare')
  },
  '/head': (_req, res) => {
    res.writeHead(202, 'Fine', { 'X-Own': '1', 'X-Powered-By': 'pride' }).end()
  },
  '/stream': (_req, res) => {
    res.write('a')
    res.end('b')
  },
  '/unchanged': (_req, res) => {
    res.statusCode = 304
    res.end()
  },
  '/empty': (_req, res) => {
    res.writeHead(204).end()
  },
  '/own': (_req, res) => {
    res.setHeader('Content-Security-Policy', "default-src 'self'")
    res.writeHead(200, { 'x-frame-options': 'SAMEORIGIN' }).end('own')
  },
}

/** Every option that can be `false`, and the header that it stands for. */
function OFF(): Record<string, string> {
  return {
    contentSecurityPolicy: 'content-security-policy',
    crossOriginOpenerPolicy: 'cross-origin-opener-policy',
    crossOriginResourcePolicy: 'cross-origin-resource-policy',
    originAgentCluster: 'origin-agent-cluster',
    referrerPolicy: 'referrer-policy',
    strictTransportSecurity: 'strict-transport-security',
    xContentTypeOptions: 'x-content-type-options',
    xDnsPrefetchControl: 'x-dns-prefetch-control',
    xDownloadOptions: 'x-download-options',
    xFrameOptions: 'x-frame-options',
    xPermittedCrossDomainPolicies: 'x-permitted-cross-domain-policies',
    xXssProtection: 'x-xss-protection',
    hsts: 'strict-transport-security',
    noSniff: 'x-content-type-options',
    dnsPrefetchControl: 'x-dns-prefetch-control',
    ieNoOpen: 'x-download-options',
    frameguard: 'x-frame-options',
    permittedCrossDomainPolicies: 'x-permitted-cross-domain-policies',
    xssFilter: 'x-xss-protection',
  }
}
