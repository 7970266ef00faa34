// What Node relies upon here to send a refusal in one piece is not documented: is it the same as field by field, on this Node?
const { createServer } = require('node:http')
const { connect } = require('node:net')
const { randomBytes } = require('node:crypto')
const { bearer, secureApi } = require('secure-api')

const secret = randomBytes(32).toString('base64url')
const api = secureApi({
  auth: [bearer({ issuer: 'https://id.example.com', audience: 'orders', secret })],
  audit: { logger: { info() {}, warn() {}, error() {} } },
  cors: { origins: ['https://shop.example.com'] },
})
const handler = api.protect((req, res) => res.end('never'))

const KINDS = {
  close: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  two: 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  head: 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  old: 'GET / HTTP/1.0\r\n\r\n',
  body: 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
}

async function main() {
  let isWhole = true
  const server = createServer((req, res) => {
    // Whoever has set a field gets the others beside it.
    if (!isWhole) res.setHeader('X-Before', '1')
    handler(req, res)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const answers = {}
  for (const [kind, request] of Object.entries(KINDS)) {
    isWhole = true
    const whole = await exchange(server.address().port, request)
    isWhole = false
    const apart = await exchange(server.address().port, request)
    answers[kind] = {
      status: Number(whole.split(' ')[1]),
      same: lines(whole) === lines(apart),
      // Node's own lines come last then. `Vary` is the last of ours.
      whole: whole.indexOf('Content-Length') > whole.indexOf('Vary'),
    }
  }
  server.close()
  await api.close()
  console.log(JSON.stringify(answers))
}

function exchange(port, request) {
  return new Promise((resolve, reject) => {
    let heard = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    socket.on('data', (chunk) => (heard += chunk.toString('latin1')))
    socket.on('error', reject)
    socket.on('close', () => resolve(heard))
  })
}

function lines(heard) {
  const changing = /^(?:X-Before|X-Request-Id|traceparent|Date|RateLimit): /
  return heard
    .replace(/,"request_id":"[^"]*"/g, '')
    .split('\r\n')
    .filter((line) => !changing.test(line))
    .sort()
    .join('\n')
}

main()
