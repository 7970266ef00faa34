const { spawn } = require('node:child_process')
const { mkdtempSync } = require('node:fs')
const { createConnection, createServer } = require('node:net')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

/** Starts one real Redis on a free loopback port for the whole run; its URL is in REDIS_URL. */
module.exports = async function startRedis() {
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'secure-api-redis-'))
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    dir,
  ]
  const child = spawn('redis-server', args, { stdio: 'ignore' })
  const failed = new Promise((_resolve, reject) => child.once('error', reject))
  await Promise.race([failed, untilListening(port)])
  process.env.REDIS_URL = `redis://127.0.0.1:${port}`
  globalThis.__redis = { child, dir }
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

function untilListening(port, attempts = 100) {
  return new Promise((resolve, reject) => {
    const attempt = (left) => {
      const socket = createConnection({ port, host: '127.0.0.1' }, () => resolve(socket.end()))
      socket.once('error', (error) => (left === 0 ? reject(error) : setTimeout(() => attempt(left - 1), 50)))
    }
    attempt(attempts)
  })
}
