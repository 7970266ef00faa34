import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './measure.mjs'

/** A real Redis of the row's own, on a loopback port, that may be stopped, killed and started again where it was. */
export async function startRedis(...args) {
  const dir = mkdtempSync(join(tmpdir(), 'secure-api-chaos-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  const port = await freePort()
  let child

  const server = {
    port,
    signal: (name) => child.kill(name),
    async start() {
      const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', dir]
      child = spawn('redis-server', [...fixed, ...args], { stdio: 'ignore' })
      const isUp = await until(() => answers(port))
      if (!isUp || child.exitCode !== null) throw new Error('redis-server did not start')
    },
    async kill() {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
    /** Sends commands, one a line, on a connection of their own; resolves to the first that is replied. */
    command: (...lines) => command(port, lines),
  }
  await server.start()
  return server
}

/** Clients set as docs/stores.md advises. */
export const drivers = {
  async ioredis(port, options = {}) {
    const { Redis } = await import('ioredis')
    const client = new Redis({
      host: '127.0.0.1',
      port,
      lazyConnect: true,
      retryStrategy: () => 200,
      socketTimeout: 500,
      ...options,
    })
    await client.connect()
    return client
  },
  async 'node-redis'(port, options = {}) {
    const { createClient } = await import('redis')
    const client = createClient({
      url: `redis://127.0.0.1:${port}`,
      socket: { reconnectStrategy: () => 200 },
      ...options,
    })
    client.on('error', () => undefined)
    await client.connect()
    return client
  },
}

/** Stands between client and server, and can be slow, or swallow everything. */
export async function startProxy(target) {
  const sockets = new Set()
  const dead = new Set()
  let delayMs = 0
  let swallowing = false
  const forward = (from, to) => {
    sockets.add(from)
    if (swallowing) dead.add(from)
    from.on('data', (chunk) => {
      if (dead.has(from)) return
      if (delayMs === 0) to.write(chunk)
      else setTimeout(() => to.writable && to.write(chunk), delayMs)
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      sockets.delete(from)
      if (!dead.delete(from)) to.destroy()
    })
  }
  const proxy = createServer((inside) => {
    const outside = connect(target, '127.0.0.1')
    for (const socket of [inside, outside]) socket.setNoDelay(true)
    forward(inside, outside)
    forward(outside, inside)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return {
    port: proxy.address().port,
    slow: (ms) => void (delayMs = ms),
    /** Connections stay, and nothing gets through. */
    swallow() {
      swallowing = true
      for (const socket of sockets) dead.add(socket)
    },
    /** New connections work. What was swallowed cannot be had any more, so old ones stay dead. */
    heal: () => void (swallowing = false),
    /** Old connections are told so. */
    reset() {
      swallowing = false
      for (const socket of dead) socket.resetAndDestroy()
    },
  }
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

async function answers(port) {
  return /^\+PONG|^-NOAUTH/.test(await command(port, ['PING']).catch(() => ''))
}

function command(port, lines) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${lines.join('\r\n')}\r\n`))
    socket.once('data', (reply) => {
      socket.destroy()
      resolve(reply.toString())
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed without a reply')))
  })
}
