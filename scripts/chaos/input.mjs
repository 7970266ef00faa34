import { fork } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import ts from 'typescript'
import { median, ms, percentile, upTo } from './support/measure.mjs'

const BODY_BYTES = 102_400
const HEAD_BYTES = 15_500

export const rows = [
  {
    name: 'the worst bodies of the allowed size, each the second request of a new process',
    promise: 'no turn of the event loop above 10 ms',
    run: coldBodies,
  },
  {
    name: 'the worst bodies of the allowed size, ten turns each',
    promise: 'no median turn above 10 ms',
    run: () => upTo(3, warmBodies),
  },
  {
    name: 'the worst header sets, each the second request of a new process',
    promise: 'no turn of the event loop above 5 ms',
    run: worstHeads,
  },
  {
    name: 'every regular expression of the package and of its formats, pumped to 64 KiB',
    promise: 'twice the text takes at most three times as long',
    run: pump,
  },
]

/** As many of `part(i)` as fit, between `open` and `close`. */
function filled(open, part, close, bytes = BODY_BYTES, most = 9_990) {
  const parts = [open]
  let length = open.length + close.length
  for (let i = 0; i < most; i++) {
    const next = i === 0 ? part(i) : `,${part(i)}`
    if ((length += Buffer.byteLength(next)) > bytes) break
    parts.push(next)
  }
  return parts.join('') + close
}

const bodies = {
  'many members': filled('{', (i) => `"${i.toString(36)}":1`, '}'),
  'many members with escapes': filled('{', (i) => `"\\n${i.toString(36)}":1`, '}'),
  'members written in escapes': filled('{', (i) => `"\\u0061${i.toString(36)}":1`, '}'),
  'members that are numbers': filled('{', (i) => `"${(i * 7919) % 100_000}":1`, '}'),
  'members that differ at their end': filled('{', (i) => `"${'a'.repeat(60)}${i}":1`, '}'),
  'many elements': filled('[', () => '123456789', ']'),
  'many numbers with exponents': filled('[', (i) => `1e-${1_000 + i}`, ']'),
  'numbers of 300 digits': filled('[', () => '9'.repeat(300), ']'),
  'many objects': filled('[', () => '{"a":1}', ']'),
  'objects of nine members': filled(
    '[',
    () => '{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}',
    ']',
    BODY_BYTES,
    1_100,
  ),
  'objects of 1,000 different members': filled(
    '[',
    (i) => `{${Array.from({ length: 1_000 }, (_, k) => `"${(1_000 * i + k).toString(36)}":1`).join()}}`,
    ']',
    BODY_BYTES,
    9,
  ),
  'nested as deep as is allowed': filled('[', () => '['.repeat(62) + ']'.repeat(62), ']', BODY_BYTES, 155),
  'one long string': `["${'a'.repeat(BODY_BYTES - 4)}"]`,
  'one string of escapes': `["${'\\n'.repeat(BODY_BYTES / 2 - 2)}"]`,
  'one string of surrogate pairs': `["${'\\ud83d\\ude00'.repeat(8_532)}"]`,
  'strings of backslashes': filled('[', () => `"${'\\\\'.repeat(500)}"`, ']'),
  'a name that comes twice at the end': `${filled('{', (i) => `"${i.toString(36)}":1`, '', BODY_BYTES - 10)},"0":1}`,
  'white space': `[${' '.repeat(BODY_BYTES - 2)}]`,
  'no JSON at all': ','.repeat(BODY_BYTES),
}

const post = (path, token, body) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n` +
  `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
const get = (token, lines, target = '/parts') =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${token === '' ? '' : `Authorization: Bearer ${token}\r\n`}${lines}\r\n\r\n`

const times = (text, bytes = HEAD_BYTES) => text.repeat(Math.floor(bytes / text.length))
const encode = (text) => Buffer.from(text).toString('base64url')

const heads = {
  'a thousand fields': (token) => get(token, times('a: b\r\n', 990 * 6).trimEnd()),
  'a long list of hops': (token) => get(token, `X-Forwarded-For: ${times('10.0.0.1, ')}10.0.0.1`),
  'a long list of IPv6 hops': (token) => get(token, `X-Forwarded-For: ${times('[2001:db8::1%eth0]:80,')}::1`),
  'many cookies': (token) => get(token, `Cookie: ${times('a=b; ')}`),
  'many cookies of different names': (token) =>
    get(token, `Cookie: ${Array.from({ length: 1_700 }, (_, i) => `c${i}=%41`).join(';')}`),
  'one cookie of percent-encoding': (token) => get(token, `Cookie: a=${times('%c3%a9')}`),
  'a long query': (token) => get(token, 'X: y', `/parts?${times('a=b&', 15_000)}`),
  'a query of different names': (token) =>
    get(token, 'X: y', `/parts?${Array.from({ length: 1_700 }, (_, i) => `q${i}=%41`).join('&')}`),
  'a long path': (token) => get(token, 'X: y', `/${times('%61', 15_000)}`),
  'a path of many segments': (token) => get(token, 'X: y', times('/a', 15_000)),
  'a path of capital letters': (token) => get(token, 'X: y', times('/A', 15_000)),
  'a path of encoded segments': (token) => get(token, 'X: y', times('/%41', 15_000)),
  'a path of dots': (token) => get(token, 'X: y', `/${times('a.', 15_000)}`),
  'a path of dots and nothing else': (token) => get(token, 'X: y', `/${times('...', 15_000)}/x`),
  'a query of ampersands': (token) => get(token, 'X: y', `/parts?${times('&', 15_000)}`),
  'a query of 500 numbers': (token) =>
    get(token, 'X: y', `/parts?${Array.from({ length: 500 }, (_, i) => `${i * 7_919}=1`).join('&')}`),
  'a cookie field of semicolons': (token) => get(token, `Cookie: ${times(';')}`),
  '500 cookies of different names': (token) =>
    get(token, `Cookie: ${Array.from({ length: 500 }, (_, i) => `c${i}=%41%c3%a9`).join(';')}`),
  'a token of one long claim': () => get(forged({ a: 'a'.repeat(5_500) }), 'X: y'),
  'a token of many claims': () =>
    get(forged(Object.fromEntries(Array.from({ length: 600 }, (_, i) => [i.toString(36), 1]))), 'X: y'),
  'a token that is too long': () => get(times('a'), 'X: y'),
  'credentials of spaces': (token) =>
    get('', `Authorization: Bearer${times(' ', 14_000)}${token.slice(0, 9)}`),
  'a long media type': (token) =>
    get(token, `Content-Type: application/json;${times('a="b";')}\r\nContent-Length: 0`),
  'a long list of what is accepted': (token) => get(token, `Accept: ${times('a/b;q=0.1,')}`),
  'a token bound to a long certificate': () =>
    get(forged({ cnf: { 'x5t#S256': 'a'.repeat(43) } }), `Client-Cert: ${CROWDED}`),
  'a certificate of thousands of names': () => get('', `Client-Cert: ${CROWDED}`),
  'a certificate field of nothing': () => get('', `Client-Cert: :${times('AAAA')}:`),
  'a proof of many claims': () =>
    proven(Object.fromEntries(Array.from({ length: 400 }, (_, i) => [i.toString(36), 1]))),
  'a proof that is too long': () => proven({ a: 'a'.repeat(9_000) }),
  'a long API key': () => get('', `X-API-Key: apikey_${times('A')}`),
  'a long password': () => get('', `Authorization: Basic ${times(encode('ann:aaaaa'))}`),
  'many session cookies': () => get('', `Cookie: ${times(`__Host-session=${'A'.repeat(43)}; `)}`),
  'a long session cookie': () => get('', `Cookie: __Host-session=${times('A')}`),
  'a long origin': (token) => get(token, `Origin: https://${times('a.')}`),
}

/** Of another authority of the same name: thousands of names, and as long as a head can be. */
const CROWDED = `:${readFileSync(new URL('support/certificates/crowded.pem', import.meta.url), 'latin1').replace(/-.*-|\s/g, '')}:`

/** A token that is bound to a key, and a proof that nobody signed. */
function proven(claims) {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const head = { alg: 'ES256', typ: 'dpop+jwt', jwk: publicKey.export({ format: 'jwk' }) }
  const proof = [JSON.stringify(head), JSON.stringify({ htm: 'GET', ...claims }), 'x'.repeat(64)]
    .map(encode)
    .join('.')
  const token = forged({ cnf: { jkt: 'a'.repeat(43) } })
  return get('', `Authorization: DPoP ${token}\r\nDPoP: ${proof}`)
}

/** Well formed, and signed by nobody. */
function forged(claims) {
  const head = { alg: 'ES256', typ: 'at+jwt', kid: 'key-1' }
  return `${encode(JSON.stringify(head))}.${encode(JSON.stringify(claims))}.${encode('x'.repeat(64))}`
}

async function serving(use) {
  const child = fork(new URL('support/stalling-server.mjs', import.meta.url))
  const exited = once(child, 'exit')
  try {
    const [{ port, token }] = await once(child, 'message')
    // An ordinary request before: what is loaded on first use is loaded.
    const first = await say(port, post('/open', token, '{"item":"x"}'))
    if (first !== '200') throw new Error(`the server under test answered ${first}`)
    return await use({
      token,
      async stall(bytes) {
        child.send({ watch: true })
        const status = await say(port, bytes)
        const answer = once(child, 'message')
        child.send({ report: true })
        const [{ longest }] = await answer
        return { status, longest }
      },
      async parse(text) {
        const answer = once(child, 'message')
        child.send({ text })
        return (await answer)[0].parse
      },
    })
  } finally {
    child.kill('SIGKILL')
    await exited
  }
}

/** The status of the reply. */
function say(port, bytes) {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect(port, '127.0.0.1')
    socket.setEncoding('latin1').on('data', (text) => (received += text))
    socket.on('error', reject).on('close', () => resolve(received.split(' ')[1] ?? 'none'))
    socket.write(bytes)
  })
}

const PATHS = ['/open', '/closed']

/** A cost of the code comes again in every new process, one of the machine does not: the least of a few counts. */
async function cold(name, mostMs, bytes) {
  let best
  for (let attempt = 0; attempt < 4 && !(best?.longest <= mostMs); attempt++) {
    const one = await serving(({ token, stall }) => stall(bytes(token)))
    if (best === undefined || one.longest < best.longest) best = one
  }
  return { name, ...best }
}

async function coldBodies() {
  const found = []
  for (const [name, body] of Object.entries(bodies)) {
    const path = body.startsWith('{') ? '/closed' : '/open'
    found.push(await cold(name, 10, (token) => post(path, token, body)))
  }
  return verdict(found, 10)
}

async function warmBodies() {
  const found = await serving(async ({ token, stall, parse }) => {
    const turns = Object.entries(bodies).flatMap(([name, body]) =>
      PATHS.map((path) => ({ name, body, path, stalls: [], parses: [], status: '' })),
    )
    for (let round = 0; round < 10; round++) {
      for (const turn of turns) {
        const { longest, status } = await stall(post(turn.path, token, turn.body))
        turn.stalls.push(longest)
        turn.status = status
        if (turn.name !== 'no JSON at all') turn.parses.push(await parse(turn.body))
      }
    }
    return turns.map(({ name, status, stalls, parses }) => ({
      name,
      status,
      longest: median(stalls),
      spread: `p25-p75 ${ms(percentile(stalls, 0.25))}-${ms(percentile(stalls, 0.75))}`,
      parse: parses.length === 0 ? undefined : median(parses),
    }))
  })
  return verdict(found, 10)
}

async function worstHeads() {
  const found = []
  for (const [name, head] of Object.entries(heads)) found.push(await cold(name, 5, head))
  return verdict(found, 5)
}

function verdict(found, mostMs) {
  const statuses = [...new Set(found.map(({ status }) => status))].sort().join(', ')
  const worst = found.reduce((one, other) => (other.longest > one.longest ? other : one))
  const { name, longest, spread, parse } = worst
  const beside = parse === undefined ? '' : `, ${(longest / parse).toFixed(1)} x JSON.parse of the same bytes`
  return {
    ok: longest <= mostMs && !found.some(({ status }) => !/^[24]/.test(status)),
    measured: `longest turn ${ms(longest)}${spread === undefined ? '' : ` (${spread})`}: ${name}${beside}; ${found.length} sent, answered ${statuses}`,
  }
}

/** Every expression meets runs of every character and group of its own source, with an end that does not fit. */
function pump() {
  const expressions = [...expressionsOf('src'), ...expressionsOfFormats()]
  const slow = []
  let worst = 0
  for (const { source, flags, file } of expressions) {
    const expression = new RegExp(source, flags.replace('g', '').replace('y', ''))
    for (const unit of unitsOf(source)) {
      for (const [before, after] of [
        ['', '\0'],
        [unit, '!'],
        ['', ''],
      ]) {
        const ratio = growth(expression, (length) => before + unit.repeat(length / unit.length) + after)
        worst = Math.max(worst, ratio)
        if (ratio > 3) slow.push(`${file}: /${source}/ on ${JSON.stringify(unit)}: ${ratio.toFixed(1)}`)
      }
    }
  }
  return {
    ok: slow.length === 0 && expressions.length > 20,
    measured:
      slow.length > 0
        ? slow.join('; ')
        : `${expressions.length} expressions, at most ${worst.toFixed(1)} times as long`,
  }
}

/** How many times as long the doubled text takes, at worst; 1 while both take no time worth measuring. */
function growth(expression, text) {
  const cost = (length, times) => {
    const pumped = text(length)
    const attempts = Array.from({ length: times }, () => {
      const start = cpuMs()
      expression.test(pumped)
      return cpuMs() - start
    })
    return Math.min(...attempts)
  }
  const ratioAt = (length, times) => {
    const next = cost(length, times)
    return next > 0.5 ? next / Math.max(cost(length / 2, times), 0.1) : 1
  }
  let worst = 1
  for (let length = 4_096; length <= 65_536; length *= 2) {
    let ratio = ratioAt(length, 3)
    // What others on this machine do comes and goes; what the expression does stays.
    for (let again = 0; ratio > 3 && again < 4; again++) ratio = Math.min(ratio, ratioAt(length, 10))
    worst = Math.max(worst, ratio)
    if (worst > 3) break
  }
  return worst
}

/** Milliseconds that this process has worked, to the microsecond. */
function cpuMs() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function unitsOf(source) {
  const plain = [...new Set(source.replace(/\\[a-zA-Z]/g, '').replace(/[\\^$()[\]{}|?+]/g, ''))]
  return [...plain, 'a', '0', ' ', '.', 'a.', 'ab', '0.', ', ', '%41', '\u00e9', 'a'.repeat(64)]
}

function expressionsOf(folder) {
  const found = new Map()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue
    const file = `${entry.parentPath}/${entry.name}`
    const visit = (node) => {
      if (ts.isRegularExpressionLiteral(node)) {
        const end = node.text.lastIndexOf('/')
        found.set(node.text, { source: node.text.slice(1, end), flags: node.text.slice(end + 1), file })
      }
      ts.forEachChild(node, visit)
    }
    visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2023))
  }
  return [...found.values()]
}

/** Those that `format` in a schema stands for; `url` is replaced by one of ours. */
function expressionsOfFormats() {
  return Object.entries(fullFormats)
    .map(([name, format]) => ({ name, expression: format.validate ?? format }))
    .filter(({ name, expression }) => name !== 'url' && expression instanceof RegExp)
    .map(({ name, expression: { source, flags } }) => ({ source, flags, file: `format ${name}` }))
}
