import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { csrf } from '../src/access/csrf.js'
import { rbac } from '../src/access/rbac.js'
import { body } from '../src/data/body.js'
import { mask } from '../src/data/mask.js'
import { validate } from '../src/data/validate.js'
import { apiKey } from '../src/identity/api-key.js'
import { apiKeys } from '../src/identity/api-keys.js'
import { auth } from '../src/identity/auth.js'
import { basic } from '../src/identity/basic.js'
import { bearer } from '../src/identity/bearer.js'
import { introspection } from '../src/identity/introspection.js'
import { hashPassword } from '../src/identity/passwords.js'
import { session } from '../src/identity/session.js'
import { sso } from '../src/identity/sso.js'
import { stepUp } from '../src/identity/step-up.js'
import { totp } from '../src/identity/totp.js'
import { webauthn } from '../src/identity/webauthn.js'
import { revocations } from '../src/identity/revocation.js'
import { tokens } from '../src/identity/tokens.js'
import { mtls } from '../src/identity/mtls.js'
import { resourceMetadata } from '../src/identity/resource-metadata.js'
import { ConfigError } from '../src/kernel/config-error.js'
import { defineStage } from '../src/kernel/define.js'
import { memory } from '../src/kernel/memory.js'
import { pipeline } from '../src/kernel/pipeline.js'
import { respond } from '../src/kernel/respond.js'
import { audit } from '../src/observe/audit.js'
import { requestId } from '../src/observe/request-id.js'
import { secureApi } from '../src/secure-api.js'
import { postgres, postgresSchema } from '../src/stores/postgres.js'
import { redis } from '../src/stores/redis.js'
import { fakeClock, localIssuer } from '../src/testing/index.js'
import { quota } from '../src/traffic/quota.js'
import { rateLimit } from '../src/traffic/rate-limit.js'
import { cors } from '../src/transport/cors.js'
import { firewall } from '../src/transport/firewall.js'
import { headers } from '../src/transport/headers.js'
import { authority } from './support/certificates.js'

const clock = fakeClock()
const issuer = localIssuer({ clock })
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const directory = mkdtempSync(join(tmpdir(), 'hostile-'))
const keep = () => undefined
const logger = { info: keep, warn: keep, error: keep }
const stage = defineStage('own', () => ({ enter: keep }))
/** No plain object: what is in it is not settings. */
const revocation = Object.create(revocations({ store: memory() })) as ReturnType<typeof revocations>
const identity = () => bearer({ issuer: issuer.issuer, audience: 'orders', resource: 'https://api.example' })

class Outside {
  now = clock.now
  monotonic = clock.monotonic
  after = clock.after
  info = keep
  warn = keep
  error = keep
}
const services = {
  trustProxy: 1,
  store: memory(),
  storeTimeoutMs: 50,
  clock: new Outside(),
  log: new Outside(),
  fetch: issuer.fetch,
  respond,
  problemBase: 'https://errors.example/',
}
const limit = {
  name: 'burst',
  limit: 5,
  windowMs: 1_000,
  algorithm: 'gcra',
  cost: 1,
  key: () => 'k',
  whenStoreFails: 'local',
  headers: 'draft-11',
  problemType: 'own',
}
const catalogue = {
  roles: { clerk: ['orders:read'], lead: { inherits: ['clerk'], permissions: ['orders:cancel'] } },
  permissions: ['refunds:make'],
  scopes: ['orders'],
  claims: { roles: 'realm.roles', permissions: ['perms', ['https://a.example', 'perms']], scopes: ['scope'] },
}
const rule = {
  any: [
    'orders:read',
    { all: ['authenticated', { role: 'clerk' }, { scope: 'orders' }, { permission: 'refunds:make' }] },
  ],
}
const schema = { type: 'object', required: ['a'], properties: { a: { type: 'string' } } }
const schemas = { query: schema, body: schema }
const fields = { 'card.number': 'last4', '**.id': { as: 'hash', unless: rule }, note: () => 'x' }

const requestIdOptions = { header: 'X-Id', trustIncoming: true, trace: 'restart', sampled: true }
const auditOptions = {
  logger,
  durability: 'turn',
  onFailure: 'count',
  maxPending: 10,
  redact: (event: object) => event,
  path: 'never',
  service: 'orders',
}
const headersOptions = {
  preset: 'api',
  noStore: 'always',
  helmet: {
    contentSecurityPolicy: { useDefaults: true, directives: { 'img-src': ["'self'"] }, reportOnly: false },
    hsts: { maxAge: 1_000, includeSubDomains: true, preload: false },
    xFrameOptions: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    noSniff: true,
  },
}
const corsOptions = {
  origins: ['https://app.example.com'],
  methods: ['GET'],
  allowedHeaders: ['X-A'],
  exposedHeaders: ['X-B'],
  credentials: true,
  maxAgeSeconds: 60,
}
const firewallOptions = { methods: ['GET'], hosts: ['api.example.com'], allow: { semicolon: true } }
const bodyOptions = {
  maxBytes: 100,
  maxUnreadBytes: 100,
  maxDepth: 5,
  maxKeys: 5,
  maxArrayItems: 5,
  charsets: ['utf-8'],
  timeoutMs: 100,
  scalars: true,
  parse: 'json',
}
const dpopOptions = {
  mode: 'allowed',
  baseUrls: ['https://api.example'],
  algorithms: ['ES256'],
  maxAgeSeconds: 30,
  nonce: { secret: [randomBytes(32)], lifetimeSeconds: 60 },
  store: memory(),
}
const resourceFacts = {
  scopesSupported: ['orders:read'],
  resourceName: 'Orders',
  resourceDocumentation: 'https://docs.example',
  resourcePolicyUri: 'https://policy.example',
  resourceTosUri: 'https://terms.example',
  maxAgeSeconds: 60,
}
const validateOptions = { ...schemas, unknown: 'strip', maxErrors: 5, timeoutMs: 100, queryLists: ['tag'] }
const hashed = `$scrypt$ln=15,r=8,p=3$${'A'.repeat(22)}$${'A'.repeat(43)}`
const stepUpOptions = {
  acr: ['gold'],
  amr: ['pwd', ['otp', 'hwk']],
  maxAgeSeconds: 300,
  clockToleranceSeconds: 5,
}
const csrfOptions = {
  origins: ['https://app.example.com'],
  always: true,
  secret: [randomBytes(32)],
  header: 'X-Token',
  dangerouslyAllowHttp: false,
}
const guard = {
  csrf: { ...csrfOptions, origins: ['https://other.example.com'] },
  sensitive: true,
  stepUp: stepUpOptions,
  auth: {
    methods: ['bearer'],
    maxLifetimeSeconds: 60,
    reportLifetimeSeconds: 30,
    maxBoundLifetimeSeconds: 90,
    dpop: 'allowed',
    certificateBound: false,
  },
  rbac: rule,
  rateLimit: { ...limit, name: 'own' },
  quota: [{ ...limit, name: 'own quota' }],
  validate: { ...validateOptions, body: { type: 'object' } },
  mask: fields,
}
const routes = {
  'POST /orders': {
    ...guard,
    auth: { ...guard.auth, optional: false },
    body: { maxBytes: 10 },
    mode: { rbac: 'report' },
  },
  'GET /health': { public: true },
  'GET /raw': { body: 'raw', headers: { replace: {} } },
}
const general = {
  auth: [identity()],
  csrf: { ...csrfOptions, origins: ['https://app.example.com', 'https://other.example.com'] },
  rbac: catalogue,
  mask: { fields: { x: 'redact' }, key: 'k'.repeat(32) },
  audit: false,
} as const

const keys = apiKeys({ store: memory(), pepper: randomBytes(32), clock })
const sessions = session({ store: memory(), clock })
const issuing = tokens({
  issuer: 'https://api.example',
  audience: 'orders',
  store: memory(),
  keys: [privateKey],
  clock,
})

/** Every factory, and settings that name each of its options. */
const factories: Record<string, [settings: object, build: (settings: never) => unknown]> = {
  secureApi: [
    {
      requestId: requestIdOptions,
      audit: auditOptions,
      headers: headersOptions,
      cors: corsOptions,
      firewall: firewallOptions,
      rateLimit: [limit],
      resourceMetadata: resourceFacts,
      auth: { any: [identity()], methods: ['bearer'], maxLifetimeSeconds: 600, optional: false },
      csrf: csrfOptions,
      stepUp: stepUpOptions,
      rbac: { ...catalogue, default: rule },
      quota: { ...limit, name: 'daily' },
      body: bodyOptions,
      validate: { query: schema },
      mask: { fields, key: createSecretKey(randomBytes(32)), maxDepth: 10 },
      routes: { 'GET /health': { public: true } },
      extra: [{ after: 'auth', stage: stage() }],
      strict: false,
      mode: { rbac: 'report' },
      trace: false,
      asyncContext: false,
      handlerTimeoutMs: 1_000,
      ...services,
    },
    secureApi,
  ],
  routes: [routes, (settings) => secureApi({ ...general, routes: settings })],
  guard: [guard, (settings) => secureApi(general).guard(settings)],
  pipeline: [
    { ...services, mode: { own: 'report' }, trace: true, asyncContext: false },
    (settings) => pipeline([stage()], settings),
  ],
  'a stage alone': [{ ...services, mode: 'report' }, (settings) => headers({}, settings)],
  requestId: [requestIdOptions, requestId],
  audit: [auditOptions, audit],
  'audit to a file': [
    {
      file: {
        path: join(directory, 'audit'),
        key: privateKey,
        checkpointEvery: 5,
        checkpointMs: 5,
        onCheckpoint: keep,
        mode: 0o600,
      },
    },
    audit,
  ],
  headers: [headersOptions, headers],
  cors: [corsOptions, cors],
  'cors for all': [{ dangerouslyAllowAnyOrigin: true }, cors],
  firewall: [firewallOptions, firewall],
  rateLimit: [limit, rateLimit],
  quota: [limit, quota],
  auth: [
    {
      all: [identity()],
      optional: true,
      methods: ['bearer'],
      maxLifetimeSeconds: 60,
      reportLifetimeSeconds: 30,
      maxBoundLifetimeSeconds: 90,
      dpop: 'allowed',
      certificateBound: false,
    },
    auth,
  ],
  mtls: [
    {
      ca: [authority('/CN=Partners').cert],
      certificate: 'Client-Cert',
      identity: 'uri',
      allow: ['spiffe://partner'],
      claims: keep,
      cacheEntries: 5,
      realm: 'api',
    },
    mtls,
  ],
  resourceMetadata: [{ ...resourceFacts, auth: [identity()] }, resourceMetadata],
  bearer: [
    {
      issuer: 'https://id.example',
      audience: ['orders'],
      jwksUri: 'https://id.example/keys',
      algorithms: ['ES256'],
      typ: ['at+jwt'],
      maxLifetimeSeconds: 60,
      clockToleranceSeconds: 5,
      maxTokenBytes: 300,
      maxStaleMs: 1_000,
      cacheEntries: 5,
      allowInsecureLoopback: false,
      realm: 'api',
      resource: 'https://api.example',
      certificate: 'socket',
      certificateBound: true,
      dpop: dpopOptions,
      maxBoundLifetimeSeconds: 90,
      revocation,
    },
    bearer,
  ],
  'bearer with issuers': [
    {
      issuers: [
        { issuer: 'https://a.example', audience: 'orders', secret: [randomBytes(32)], algorithms: ['HS256'] },
        { issuer: 'https://b.example', audience: 'orders', keys: [publicKey] },
      ],
    },
    bearer,
  ],
  introspection: [
    {
      issuer: 'https://id.example',
      endpoint: 'https://id.example/introspect',
      audience: ['orders'],
      clientId: 'orders',
      clientSecret: 'secret-of-the-orders-api',
      cacheMs: 5_000,
      cacheEntries: 5,
      maxCalls: 2,
      timeoutMs: 500,
      maxLifetimeSeconds: 60,
      clockToleranceSeconds: 5,
      maxTokenBytes: 300,
      allowInsecureLoopback: false,
      realm: 'api',
      resource: 'https://api.example',
      certificate: 'Client-Cert',
      certificateBound: false,
      dpop: 'off',
      maxBoundLifetimeSeconds: 90,
    },
    introspection,
  ],
  basic: [
    {
      users: { ops: hashed, eve: { hash: hashed, subject: 'u-7', claims: { roles: ['operator'] } } },
      store: memory(),
      algorithms: ['scrypt'],
      maxHashing: 4,
      cacheEntries: 5,
      lookupTimeoutMs: 500,
      allowInsecureLoopback: true,
      realm: 'api',
    },
    basic,
  ],
  stepUp: [stepUpOptions, stepUp],
  csrf: [csrfOptions, csrf],
  apiKey: [
    {
      store: memory(),
      pepper: [randomBytes(32)],
      prefix: 'acme',
      header: 'X-Key',
      noticeMs: 60_000,
      lastUsedMs: 1_000,
      cacheEntries: 5,
      realm: 'api',
    },
    apiKey,
  ],
  'apiKey in Authorization': [{ store: memory(), pepper: randomBytes(32), scheme: 'ApiKey' }, apiKey],
  apiKeys: [
    {
      store: memory(),
      pepper: [randomBytes(32)],
      prefix: 'acme',
      clock: new Outside(),
      storeTimeoutMs: 1_000,
    },
    apiKeys,
  ],
  'apiKeys.create': [
    {
      owner: 'partner',
      name: 'shop',
      scopes: ['orders:read'],
      roles: ['clerk'],
      cidrs: ['192.0.2.0/24'],
      limit: { limit: 5, windowMs: 60_000 },
      expiresAt: clock.now() + 60_000,
    },
    (request) => keys.create(request),
  ],
  'apiKeys.list': [{ owner: 'partner' }, (filter) => keys.list(filter)],
  'apiKeys.rotate': [{ graceMs: 5 }, (options) => keys.rotate('unknown', options)],
  session: [
    {
      store: memory(),
      name: 'sid',
      sameSite: 'strict',
      idleTimeoutMs: 60_000,
      absoluteTimeoutMs: 60_000,
      touchMs: 1_000,
      maxSessions: 5,
      whenFull: 'refuse',
      revocation,
      dangerouslyAllowHttp: false,
      realm: 'api',
      clock: new Outside(),
      storeTimeoutMs: 1_000,
    },
    session,
  ],
  'session.login': [
    {
      subject: 'ann',
      issuer: 'https://id.example',
      claims: { roles: ['clerk'] },
      factors: ['pwd'],
      authenticatedAt: 5,
      acr: 'gold',
      sid: 'sid-1',
      attachment: 'a token',
    },
    (login) => {
      const req = new IncomingMessage(new Socket())
      return sessions.login(req, new ServerResponse(req), login)
    },
  ],
  sso: [
    {
      issuer: 'https://id.example',
      clientId: 'shop',
      clientSecret: 'secret-of-the-shop',
      clientAuth: 'post',
      redirectUri: 'https://shop.example/callback',
      sessions: Object.create(sessions) as typeof sessions,
      store: memory(),
      scope: 'openid email',
      claims: keep,
      maxAgeSeconds: 60,
      acrValues: ['gold'],
      returnTo: '/start',
      postLogoutRedirectUri: 'https://shop.example/bye',
      revocation,
      loginTimeoutMs: 60_000,
      logoutTyp: 'logout+jwt',
      clockToleranceSeconds: 5,
      timeoutMs: 1_000,
      allowInsecureLoopback: false,
    },
    sso,
  ],
  'tokens.issue': [
    {
      subject: 'ann',
      clientId: 'shop',
      scope: 'orders:read',
      claims: { roles: ['clerk'] },
      refresh: true,
      authentication: { at: 5, acr: 'gold', amr: ['pwd'] },
    },
    (login) => issuing.issue(login),
  ],
  hashPassword: [{ algorithm: 'scrypt' }, (options) => hashPassword('correct horse battery staple', options)],
  'hashPassword, of': [
    { password: 'x' },
    (given) => hashPassword((given as { password?: string } | null)?.password as string),
  ],
  revocations: [
    { store: memory(), keepSeconds: 60, clock: new Outside(), storeTimeoutMs: 1_000 },
    revocations,
  ],
  tokens: [
    {
      issuer: 'https://api.example',
      audience: ['orders'],
      store: memory(),
      keyRing: { secret: [randomBytes(32)], rotateSeconds: 3_600, announceSeconds: 600 },
      accessSeconds: 60,
      idleSeconds: 60,
      absoluteSeconds: 60,
      graceMs: 5,
      clientId: 'app',
      renew: keep,
      revocation,
      clock: new Outside(),
      storeTimeoutMs: 1_000,
    },
    tokens,
  ],
  'tokens with keys': [
    { issuer: 'https://api.example', audience: 'orders', store: memory(), keys: [privateKey] },
    tokens,
  ],
  webauthn: [
    {
      store: memory(),
      key: [randomBytes(32)],
      rpId: 'example.com',
      rpName: 'Acme',
      origins: ['https://app.example.com'],
      maxPasskeys: 5,
      challengeMs: 60_000,
      attested: () => true,
      account: () => 'ann',
      verified: keep,
      clock: new Outside(),
      storeTimeoutMs: 1_000,
    },
    webauthn,
  ],
  totp: [
    {
      store: memory(),
      key: [randomBytes(32)],
      issuer: 'Acme',
      algorithm: 'SHA256',
      digits: 8,
      periodSeconds: 60,
      window: 0,
      recoveryCodes: 5,
      pendingMs: 60_000,
      account: () => 'ann',
      verified: keep,
      clock: new Outside(),
      storeTimeoutMs: 1_000,
    },
    totp,
  ],
  rbac: [{ ...catalogue, require: rule }, rbac],
  body: [bodyOptions, body],
  validate: [validateOptions, validate],
  mask: [{ fields, key: randomBytes(32), maxDepth: 5, ...catalogue }, mask],
  memory: [{ maxClients: 5 }, memory],
  postgres: [
    { table: 'app.records' },
    (settings) => [postgres({ query: keep } as never, settings), postgresSchema(settings)],
  ],
  redis: [
    { prefix: 'orders' },
    (settings) => redis({ evalsha: keep, eval: keep, on: keep } as never, settings),
  ],
}

const throwing = () =>
  Object.defineProperty({}, 'limit', {
    enumerable: true,
    get() {
      throw new TypeError('hunter2')
    },
  })

const hostile: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  NaN: () => NaN,
  Infinity: () => Infinity,
  '-Infinity': () => -Infinity,
  '-1': () => -1,
  '1.5': () => 1.5,
  '2 ** 53': () => 2 ** 53,
  'a bigint': () => 1n,
  'a number as text': () => '5',
  'an empty text': () => '',
  'a text': () => 'hunter2 correct\nhorse',
  true: () => true,
  false: () => false,
  'an empty array': () => [],
  'an array of null': () => [null],
  'an array of arrays': () => [[[]]],
  'an empty object': () => ({}),
  'an object without prototype': () => Object.assign(Object.create(null), { x: 1 }) as object,
  'a Map': () => new Map([['limit', 1]]),
  'a date': () => new Date(0),
  'an instance': () =>
    new (class {
      limit = 1
    })(),
  'what inherits': () => Object.create({ limit: 1 }) as object,
  'a function': () => keep,
  'a symbol': () => Symbol('x'),
  'a promise': () => Promise.resolve({}),
  'a getter that throws': throwing,
  '__proto__ of its own': () => JSON.parse('{"__proto__":{"limit":1}}') as object,
  'an own constructor': () => ({ constructor: { prototype: {} } }),
  'a frozen object': () => Object.freeze({ x: 1 }),
}

/** Forms in which a secret gets where it does not belong. */
const secrets: (() => unknown)[] = [
  () => 'hunter2-hunter2',
  () => 'hunter2',
  () => 'hunter2 correct\nhorse "battery" \\staple',
  () => `hunter2${'x'.repeat(60)}`,
  () => 'redis://:hunter2@cache.example:6379',
  () => ['hunter2-hunter2'],
  () => ({ any: 'hunter2-hunter2' }),
  () => ({ limit: 'hunter2-hunter2', as: 'hunter2-hunter2' }),
  () => new Map([['x', 'hunter2-hunter2']]),
  () => () => 'hunter2-hunter2',
  () => Symbol('hunter2'),
  throwing,
]

type Path = readonly (string | number)[]

function isTree(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
}

/** Every place of a tree of settings, root and objects included. */
function places(value: unknown, path: Path = []): Path[] {
  const inner = isTree(value)
    ? Object.entries(value).flatMap(([key, child]) => places(child, [...path, key]))
    : []
  return [path, ...inner]
}

/** A copy of the tree with something else in one place. */
function planted(value: unknown, [key, ...rest]: Path, plant: unknown): unknown {
  if (key === undefined) return plant
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<
    string,
    unknown
  >
  copy[key] = planted(copy[key], rest, plant)
  return copy
}

/** Whoever names one of these and misses its value by a slip would do without it; elsewhere `undefined` means the default. */
const PROTECTING = [
  /^secureApi: (?:\w+|routes\..+)$/,
  /^routes: [^.]+(?:\.\w+)?$/,
  /^guard: \w+$/,
  /(?:roles|permissions|scopes|default|require|replace|redact|hosts|query|body|required|properties)$/,
  /^(?:firewall|secureApi: firewall)(?:: |\.)methods$/,
  /auth(?:: |\.)(?:any|all|methods|maxLifetimeSeconds|reportLifetimeSeconds|dpop|certificateBound|optional)$/,
  /(?:dpop|dpop\.(?:mode|baseUrls|algorithms|maxAgeSeconds|nonce|store))$/,
  /(?:certificate|certificateBound|mtls: (?:ca|allow|identity))$/,
]
const OUTSIDE = /: (?:trustProxy|store|storeTimeoutMs|clock|log|fetch|respond|problemBase)$/

/** Values of the table that are settings like any other. Whatever else is taken without a word is a mistake. */
/** For what is the user's own, whatever it is. */
const ANYTHING = Object.keys(hostile)
const SOUND: [where: RegExp, ...values: string[]][] = [
  // Free texts, and names of the user's own.
  [
    /(?:name|resourceName|scopesSupported\.0|header|prefix|hosts\.0|Headers\.0|permissions\.0|realm|issuer|problemBase)$/,
    'a number as text',
  ],
  [/introspection: client(?:Id|Secret)$/, 'a number as text'],
  [/introspection: clientSecret$/, 'a text'],
  [/totp: issuer$/, 'a text'],
  [/webauthn: rpName$/, 'a text', 'a number as text'],
  [/basic: users\.eve\.subject$/, 'a number as text', 'a text'],
  [/basic: users$/, 'a function'],
  [
    /basic: .*claims$/,
    'an object without prototype',
    '__proto__ of its own',
    'an own constructor',
    'a frozen object',
  ],
  [/basic: users\.eve\.claims\..*$/, ...ANYTHING],
  // Claims are whatever JSON can say.
  [
    /(?:login|issue): claims$/,
    'an object without prototype',
    '__proto__ of its own',
    'an own constructor',
    'a frozen object',
  ],
  [/(?:login|issue): claims\..*$/, ...ANYTHING.filter((what) => !/bigint|getter/.test(what))],
  [/(?:create|list): owner$/, 'a number as text'],
  [/create: (?:scopes|roles)$/, 'an empty array'],
  [/create: (?:scopes|roles)\.0$/, 'a number as text'],
  [/login: (?:subject|sid|attachment|factors\.0)$/, 'a number as text'],
  [/login: factors$/, 'an empty array'],
  [/issue: (?:subject|clientId|scope)$/, 'a number as text', 'a text'],
  [/issue: scope$/, 'an empty text', 'an empty array'],
  [/issue: authentication\.at$/, '1.5'],
  [/issue: authentication\.amr$/, 'an empty array'],
  [/sso: (?:client(?:Id|Secret)|acrValues\.0)$/, 'a number as text'],
  [/sso: acrValues$/, 'an empty array'],
  [/sso: logoutTyp$/, 'a number as text', 'a text', 'false'],
  [/hashPassword, of: password$/, 'a number as text', 'a text'],
  [/tokens: clientId$/, 'a number as text', 'a text'],
  [/introspection: dpop$/, 'an empty object'],
  [/mtls: allow\.0$/, 'a number as text', 'a text'],
  [/(?:service|resourceName|typ|typ\.0|audience|audience\.0|claims\..*)$/, 'a number as text', 'a text'],
  [/(?:required\.0|queryLists\.0|guard: auth\.methods\.0)$/, 'a number as text', 'an empty text', 'a text'],
  [/^rbac: $/, 'a number as text'],
  [/(?:acr|amr)(?:\.\d)*$/, 'a number as text'],
  [/img-src(?:\.0)?$/, 'a number as text', 'an empty text', 'an empty array', 'null'],
  [/referrerPolicy\.policy$/, 'an empty text'],
  // Rows and switches.
  [/^secureApi: (?:requestId|audit|headers|firewall|rateLimit|csrf|body)$/, 'true'],
  [/^(?:secureApi: \w+|routes: [^.]+\.(?!auth|public|sensitive|mode)\w+)$/, 'false'],
  [/(?:headers|trace|noStore|typ|handlerTimeoutMs)$/, 'false'],
  [/helmet\.\w+$/, 'true', 'false'],
  // Lists that may be empty.
  [/(?:lead|inherits|permissions|claims\.\w+|required|queryLists|extra|trustProxy)$/, 'an empty array'],
  [/cors.*(?:methods|Headers)$/, 'an empty array'],
  [/roles\.lead$/, 'an empty object'],
  [/cost$/, '1.5', '2 ** 53', 'a function'],
  [/(?:claims\.\w+|fields\.[^:]*|mask\.[^:]*)$/, 'a function'],
  // Asked when they are needed.
  [/issuers\.1\.keys$/, 'a function'],
  // A schema for anything, or for nothing.
  [/(?:query|body)$/, 'an own constructor'],
  [/^routes: GET \/raw\.body$/, 'an empty object'],
  [/properties\.a$/, 'true', 'false', 'an own constructor'],
]

function isSound(at: string, what: string, was: unknown): boolean {
  if (what === 'undefined' && (OUTSIDE.test(at) || !PROTECTING.some((place) => place.test(at)))) return true
  if (typeof was === 'boolean' && (what === 'true' || what === 'false')) return true
  if (typeof was === 'function' && what === 'a function') return true
  if (what === 'an empty object' && typeof was === 'object' && !/fields$|mask$|guard: $/.test(at)) return true
  return SOUND.some(([where, ...values]) => where.test(at) && values.includes(what))
}

function at(value: unknown, path: Path): unknown {
  return path.reduce((node, key) => (node as Record<string, unknown>)[key], value)
}

async function outcome(build: () => unknown): Promise<string> {
  try {
    await build()
    return 'accepted'
  } catch (error) {
    return error instanceof ConfigError ? 'ConfigError' : String(error)
  }
}

/** A path is told, because nobody could look after the file without it. */
const TELLS_PATH = /^audit to a file: file(?:\.path)?$/

describe.each(Object.keys(factories))('%s', (name) => {
  const [settings, build] = factories[name]!
  const builds = (given: unknown) => outcome(() => build(given as never))

  test('takes settings that name every option', async () => {
    expect(await builds(settings)).toBe('accepted')
  })

  test('answers a hostile value in any place with a ConfigError, and leaves all prototypes alone', async () => {
    const before = Object.getOwnPropertyNames(Object.prototype)
    const wrong: string[] = []
    for (const path of places(settings)) {
      const place = `${name}: ${path.join('.')}`
      if (TELLS_PATH.test(place)) continue
      for (const [what, make] of Object.entries(hostile)) {
        const got = await builds(planted(settings, path, make()))
        if (got === 'ConfigError' || (got === 'accepted' && isSound(place, what, at(settings, path))))
          continue
        wrong.push(`${place} = ${what}: ${got}`)
      }
    }
    expect(wrong).toEqual([])
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before)
    expect(({} as { limit?: unknown }).limit).toBeUndefined()
  })

  test('never tells what it was given, which may be a secret in the wrong place', async () => {
    const told: string[] = []
    for (const path of places(settings)) {
      const place = `${name}: ${path.join('.')}`
      if (TELLS_PATH.test(place)) continue
      for (const secret of secrets) {
        try {
          await build(planted(settings, path, secret()) as never)
        } catch (error) {
          const { message, stack, cause } = error as Error
          if (`${message} ${stack} ${String(cause)}`.includes('hunter2')) told.push(`${place}: ${message}`)
        }
      }
    }
    expect(told).toEqual([])
  })
})

test('frozen settings and settings without a prototype are settings like any other', async () => {
  const bare = (value: unknown): unknown =>
    isTree(value) && !Array.isArray(value)
      ? Object.freeze(
          Object.assign(
            Object.create(null),
            Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, bare(inner)])),
          ),
        )
      : Array.isArray(value)
        ? Object.freeze(value.map(bare))
        : value
  for (const [name, [settings, build]] of Object.entries(factories)) {
    if (TELLS_PATH.test(`${name}: file`)) continue
    expect([name, await outcome(() => build(bare(settings) as never))]).toEqual([name, 'accepted'])
  }
})
