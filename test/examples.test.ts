import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request, type IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { Secret, TOTP } from 'otpauth'
import { copyExample, emptyFolder, linkedCopy, removeCopies, ROOT } from './support/example-copy.js'
import { endExamples, printed, startedExample as started } from './support/example-process.js'
import { endTours, tour, tourInTurn } from './support/tours.js'

/** Children that lead a process group of their own. */
const groups: ChildProcess[] = []

jest.setTimeout(120_000)

afterAll(() => {
  endExamples()
  endTours()
  for (const leader of groups) endGroup(leader)
  removeCopies()
})

test.each(['minimal', 'orders-api', 'login', 'tokens'])(
  '%s: npm start becomes the server, so that ending it ends both',
  (example) => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'examples', example, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    // npm ends the shell that it started, and a shell does not end what it runs.
    expect(scripts.start).toMatch(/^exec node /)
  },
)

describe('orders-api', () => {
  const PROTECTIONS = [
    'audit',
    'auth',
    'body',
    'cors',
    'csrf',
    'firewall',
    'headers',
    'mask',
    'ownership',
    'policy',
    'quota',
    'rateLimit',
    'rbac',
    'requestId',
    'resourceMetadata',
    'session',
    'sso',
    'stepUp',
    'totp',
    'validate',
    'webauthn',
  ]

  test('keeps every promise of its tour, at least one for each protection', async () => {
    const { code, rows, output } = await tour(linkedCopy('orders-api'))
    expect(rows.filter(({ kept }) => !kept)).toEqual([])
    expect([...new Set(rows.map(({ protection }) => protection))].sort()).toEqual(PROTECTIONS)
    expect(output).toContain(`\n${rows.length} of ${rows.length} as promised`)
    expect({ code, output }).toMatchObject({ code: 0 })
  })

  type Weakness = [protection: string, file: string, strong: string, weak: string, row: string]
  const WEAKENED: readonly Weakness[] = [
    [
      'headers',
      'api.js',
      'strict: true,',
      'strict: true, headers: false,',
      'security headers on every reply',
    ],
    [
      'requestId',
      'api.js',
      'strict: true,',
      'strict: true, requestId: false,',
      'a trace that began elsewhere',
    ],
    [
      'cors',
      'api.js',
      "['https://shop.example.com']",
      "['https://else.example.com']",
      'a preflight from the shop',
    ],
    ['firewall', 'api.js', 'strict: true,', 'strict: true, firewall: false,', 'a dot segment'],
    [
      'auth',
      'api.js',
      "dpop: 'allowed',",
      "dpop: 'allowed', typ: false,",
      'no access token but another kind',
    ],
    ['auth', 'api.js', "auth: { methods: ['apiKey'] }, rbac", 'rbac', 'a token where only a key counts'],
    ['auth', 'api.js', "auth: { dpop: 'required' }, rbac", 'rbac', 'bound to nothing, where it must be'],
    [
      'resourceMetadata',
      'api.js',
      "resourceMetadata: { resourceName: 'Orders' },",
      '',
      'where tokens come from',
    ],
    [
      'stepUp',
      'api.js',
      "'POST /payouts': { sensitive: true, rbac: 'payouts:make', stepUp: RECENT_FACTOR }",
      "'POST /payouts': { rbac: 'payouts:make' }",
      'is not enough to pay',
    ],
    [
      'stepUp',
      'login.js',
      '? afterFactor : afterLogin',
      '? afterLogin : afterLogin',
      'before another one is',
    ],
    ['csrf', 'api.js', 'strict: true,', 'strict: true, csrf: false,', 'would pay for its visitor'],
    ['session', 'login.js', 'await sessions.addFactor(', 'await sessions.rotate(', 'the payout is made'],
    [
      'sso',
      'login.js',
      'Array.isArray(roles) && roles.length > 0 ? { name, roles } : undefined',
      '({ name, roles })',
      'who has no role',
    ],
    ['rbac', 'api.js', "rbac: 'orders:cancel'", "rbac: 'authenticated'", 'a clerk cannot cancel'],
    [
      'ownership',
      'api.js',
      "unless: 'orders:read-any'",
      "unless: 'orders:read'",
      'an order of another clerk',
    ],
    ['policy', 'api.js', "resource.status === 'open'", 'resource !== undefined', 'stays as it is'],
    ['body', 'api.js', 'strict: true,', 'strict: true, body: { maxDepth: 200 },', 'a hundred levels of JSON'],
    ['validate', 'api.js', 'body: newOrder }', "body: newOrder, unknown: 'strip' }", 'a member nobody named'],
    [
      'mask',
      'api.js',
      "as: 'last4', unless: 'cards:read'",
      "as: 'last4', unless: 'orders:read'",
      'neither address nor card',
    ],
    ['quota', 'api.js', 'quota: { limit: 3,', 'quota: { limit: 3_000,', 'the report, over and over'],
    ['rateLimit', 'api.js', 'rateLimit: { limit: 20,', 'rateLimit: { limit: 2_000,', 'orders, over and over'],
    ['audit', 'audit-trail.js', 'head: this.head()', '', 'cut off the end'],
  ]

  /** A copy with one thing changed in it. */
  function weakened([, file, strong, weak]: Weakness): string {
    const folder = linkedCopy('orders-api')
    const source = readFileSync(join(folder, file), 'utf8')
    expect(source.split(strong)).toHaveLength(2)
    writeFileSync(join(folder, file), source.replace(strong, weak))
    return folder
  }

  test('ends with 1 where a promise is not kept', async () => {
    const { code, rows } = await tour(weakened(WEAKENED[0]!))
    expect(code).toBe(1)
    expect(rows.filter(({ kept }) => !kept)).not.toEqual([])
  })

  describe('in one process, tours', () => {
    const keepsAll = async () => {
      const { kept, rows } = await tourInTurn(linkedCopy('orders-api'))
      expect(rows.filter((row) => !row.kept)).toEqual([])
      expect([...new Set(rows.map(({ protection }) => protection))].sort()).toEqual(PROTECTIONS)
      expect(kept).toBe(true)
    }

    test('keep every promise', keepsAll)

    test.each(WEAKENED)('break one when %s is weakened', async (...change) => {
      const { kept, rows } = await tourInTurn(weakened(change))
      expect(kept).toBe(false)
      expect(rows.filter((row) => !row.kept).map(({ line }) => line)).toContainEqual(
        expect.stringContaining(change[4]),
      )
    })

    // What one of them did to the process would be taken for a weakness of all that follow.
    test('keep every promise behind those', keepsAll)
  })
})

test('orders-api works in an empty folder with the packed package', async () => {
  const folder = emptyFolder()
  const packed = npm(ROOT, 'pack', '--ignore-scripts', '--silent', '--pack-destination', folder).trim()
  copyExample('orders-api', folder)
  npm(folder, 'install', '--no-audit', '--no-fund', '--prefer-offline', `./${packed}`)

  const { code, rows, output } = await tour(folder)
  expect(rows.filter(({ kept }) => !kept)).toEqual([])
  expect({ code, output }).toMatchObject({ code: 0 })
})

test('orders-api serves, prints requests that come out as it says, and leaves a trail that proves itself', async () => {
  const folder = linkedCopy('orders-api')
  const { child, output } = await started(folder, { PORT: '0' }, 'To know before production')

  const lines = output().split('\n')
  const promised = lines.flatMap((line, i) => {
    const status = /^# .* -> ([0-9]{3})$/.exec(line)?.[1]
    return status === undefined ? [] : [{ curl: lines[i + 1]!, status: Number(status) }]
  })
  expect(promised.length).toBeGreaterThanOrEqual(10)
  for (const { curl, status } of promised) {
    const statuses = []
    for (let i = Number(/seq ([0-9]+)/.exec(curl)?.[1] ?? 1); i > 0; i--)
      statuses.push((await sendCurl(curl)).status)
    expect({ curl, status: statuses.at(-1) }).toEqual({ curl, status })
  }
  expect(output()).toMatch(/POST \/orders meets, in this order:\n {2}requestId/)

  child.kill('SIGTERM')
  const [code] = (await once(child, 'exit')) as [number]
  expect(code).toBe(0)
  const verified = spawnSync(process.execPath, ['server.js', '--verify-audit'], {
    cwd: folder,
    encoding: 'utf8',
  })
  expect(verified.stdout).toContain('ok: true')
})

test('npm start ends in peace when npm is told to end, and leaves nothing behind', async () => {
  const child = spawn('npm', ['start', '--silent'], {
    cwd: ROOT,
    env: { ...process.env, PORT: '0' },
    detached: true,
  })
  groups.push(child)
  const output = await printed(child, 'To know before production')
  const origin = /Orders API on (http:\S+),/.exec(output())![1]!
  expect((await send('GET', `${origin}/health`, {})).status).toBe(200)

  child.kill('SIGTERM')
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  expect([code, signal]).toEqual([0, null])
  await expect(send('GET', `${origin}/health`, {})).rejects.toThrow('ECONNREFUSED')
  expect(endGroup(child)).toBe('nobody is left')
})

test('login: a user logs in, is known, and is not when another site asks or the session has ended', async () => {
  const { child, output } = await started(linkedCopy('login'), { PORT: '0' }, 'listens')
  const origin = /http:\S+/.exec(output())![0]
  const login = async (name: string, password: string, from = origin) => {
    const headers = { 'Content-Type': ['application/json'], Origin: [from] }
    const reply = await send('POST', `${origin}/login`, headers, JSON.stringify({ name, password }))
    return { status: reply.status, cookie: reply.headers['set-cookie']?.[0]?.split(';')[0] ?? '' }
  }
  const as = async (line: string, cookie: string, from = origin) => {
    const [method, path] = line.split(' ') as [string, string]
    return (await send(method, `${origin}${path}`, { Cookie: [cookie], Origin: [from] })).status
  }
  /** Sets up an authenticator app in a session, and pays with it; each factor gives the session a new cookie. */
  const paysWithApp = async (first: string) => {
    let cookie = first
    const post = async (path: string, body: object = {}) => {
      const headers = { 'Content-Type': ['application/json'], Cookie: [cookie], Origin: [origin] }
      const reply = await send('POST', `${origin}${path}`, headers, JSON.stringify(body))
      cookie = reply.headers['set-cookie']?.[0]?.split(';')[0] ?? cookie
      return {
        status: reply.status,
        ...(JSON.parse(reply.body) as { secret: string; recovery_codes: string[] }),
      }
    }
    expect((await post('/payouts')).status).toBe(401)
    const { secret } = await post('/mfa/enrol')
    const code = new TOTP({ secret: Secret.fromBase32(secret) }).generate()
    expect((await post('/mfa/confirm', { code: '000000' })).status).toBe(403)
    expect((await post('/payouts')).status).toBe(401)
    const confirmed = await post('/mfa/confirm', { code })
    expect(confirmed.recovery_codes).toHaveLength(10)
    expect((await post('/payouts')).status).toBe(200)
    expect((await post('/mfa/verify', { code })).status).toBe(403)
    expect((await post('/mfa/verify', { recovery_code: confirmed.recovery_codes[0] })).status).toBe(200)
    expect((await post('/mfa/enrol')).status).toBe(409)
  }
  expect(await login('ann', 'wrong horse')).toEqual({ status: 403, cookie: '' })
  expect(await login('nobody', 'correct horse')).toEqual({ status: 403, cookie: '' })
  expect(await login('ann', 'correct horse', 'https://evil.example')).toEqual({ status: 403, cookie: '' })

  const [ann, elsewhere, mel] = await Promise.all([
    login('ann', 'correct horse'),
    login('ann', 'correct horse'),
    login('mel', 'battery staple'),
  ])
  expect(await as('GET /me', ann.cookie)).toBe(200)
  expect(await as('POST /orders/1/cancel', ann.cookie)).toBe(403)
  expect(await as('POST /orders/1/cancel', mel.cookie, 'https://evil.example')).toBe(403)
  expect(await as('POST /orders/1/cancel', mel.cookie)).toBe(200)
  await paysWithApp(mel.cookie)
  expect(await as('DELETE /sessions', ann.cookie)).toBe(200)
  expect([await as('GET /me', elsewhere.cookie), await as('GET /me', ann.cookie)]).toEqual([401, 200])
  expect(await as('POST /logout', ann.cookie)).toBe(200)
  expect(await as('GET /me', ann.cookie)).toBe(401)
  child.kill()
  await once(child, 'exit')
})

test('tokens: a user gets tokens and goes on with them, until somebody has a copy or it logs out everywhere', async () => {
  const { child, output } = await started(linkedCopy('tokens'), { PORT: '0' }, 'listens')
  const origin = /http:\S+/.exec(output())![0]
  const post = async (path: string, body: object, token = '') => {
    const bearing = token === '' ? {} : { Authorization: [`Bearer ${token}`] }
    const headers = { 'Content-Type': ['application/json'], ...bearing }
    const reply = await send('POST', origin + path, headers, JSON.stringify(body))
    return {
      status: reply.status,
      ...(JSON.parse(reply.body) as { access_token: string; refresh_token: string }),
    }
  }
  const me = async (token: string) =>
    (await send('GET', `${origin}/me`, { Authorization: [`Bearer ${token}`] })).status
  const login = (name: string, password: string) => post('/login', { name, password })

  const metadata = await send('GET', `${origin}/.well-known/oauth-authorization-server`, {})
  expect(JSON.parse(metadata.body)).toMatchObject({
    jwks_uri: 'http://127.0.0.1:3000/.well-known/jwks.json',
    revocation_endpoint: 'http://127.0.0.1:3000/revoke',
  })
  expect((await login('ann', 'wrong horse')).status).toBe(403)
  expect((await login('nobody', 'correct horse')).status).toBe(403)
  expect((await post('/login', { name: 'ann' })).status).toBe(422)

  const first = await login('ann', 'correct horse')
  expect(await me(first.access_token)).toBe(200)
  expect((await post('/orders/1/cancel', {}, first.access_token)).status).toBe(403)
  const second = await post('/refresh', { refresh_token: first.refresh_token })
  const third = await post('/refresh', { refresh_token: second.refresh_token })
  expect(await me(third.access_token)).toBe(200)
  expect((await post('/refresh', { refresh_token: first.refresh_token })).status).toBe(400)
  expect([await me(first.access_token), await me(third.access_token)]).toEqual([401, 401])

  const mel = await login('mel', 'battery staple')
  expect((await post('/orders/1/cancel', {}, mel.access_token)).status).toBe(200)
  expect((await post('/logout-everywhere', {}, mel.access_token)).status).toBe(200)
  expect(await me(mel.access_token)).toBe(401)
  child.kill()
  await once(child, 'exit')
})

test('minimal is short', () => {
  const source = readFileSync(join(ROOT, 'examples/minimal/server.js'), 'utf8')
  expect(source.trim().split('\n').length).toBeLessThan(20)
})

test('the quick start of the README is under 15 lines', () => {
  expect(program('README.md').trim().split('\n').length).toBeLessThan(15)
})

test.each(['examples/minimal/server.js', 'README.md', 'docs/getting-started.md'])(
  'the API of %s runs, answers on its public path and asks everybody else who they are',
  async (file) => {
    const folder = linkedCopy('minimal')
    writeFileSync(join(folder, 'server.js'), program(file))
    const env = { ISSUER: 'https://id.example.com', AUDIENCE: 'https://api.example.com', PORT: '0' }
    const { child, output } = await started(folder, env, 'listens')
    const origin = /http:\S+/.exec(output())![0]

    const health = await send('GET', `${origin}/health`, {})
    expect(health).toMatchObject({ status: 200, headers: { 'x-content-type-options': 'nosniff' } })
    const other = await send('GET', `${origin}/other`, {})
    expect(other).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="api"' } })
    child.kill()
    await once(child, 'exit')
  },
)

/** A file as it is, or the first program of a document, on a free port of this machine. */
function program(file: string): string {
  const text = readFileSync(join(ROOT, file), 'utf8')
  if (!file.endsWith('.md')) return text
  const [, source] = /```js\n(.*?)```/s.exec(text)!
  const listen = `.listen(0, '127.0.0.1', function () { console.log('listens on http://127.0.0.1:' + this.address().port) })`
  expect(source!.split('.listen(3000)')).toHaveLength(2)
  return source!.replace('.listen(3000)', listen)
}

function npm(cwd: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: ${stderr}`)
  return stdout
}

function endGroup({ pid }: ChildProcess): string {
  try {
    process.kill(-pid!, 'SIGKILL')
    return 'somebody was left'
  } catch {
    return 'nobody is left'
  }
}

/** Does what the shell and curl would do with a line that the example prints. */
function sendCurl(line: string) {
  const words = [...line.matchAll(/'((?:[^']|'\\'')*)'|(\S+)/g)].map((word) => word[1] ?? word[2]!)
  const after = (flag: string) => words.filter((_, i) => words[i - 1] === flag)
  const headers: Record<string, string[]> = {}
  for (const field of after('-H')) {
    const [name, value] = [field.slice(0, field.indexOf(': ')), field.slice(field.indexOf(': ') + 2)]
    headers[name] = [...(headers[name] ?? []), value]
  }
  const [method = 'GET'] = after('-X')
  return send(
    method,
    words.find((word) => word.startsWith('http://'))!,
    headers,
    after('-d')[0],
  )
}

async function send(method: string, url: string, headers: Record<string, string[]>, body?: string) {
  const [, host, port, path] = /^http:\/\/([^:/]+):([0-9]+)(\/.*)$/.exec(url)!
  const sent = request({ method, host, port, path, headers })
  sent.end(body)
  const [received] = (await once(sent, 'response')) as [
    NodeJS.ReadableStream & { statusCode: number; headers: IncomingHttpHeaders },
  ]
  let text = ''
  received.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await once(received, 'end')
  return { status: received.statusCode, headers: received.headers, body: text }
}
