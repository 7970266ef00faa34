import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './measure.mjs'

const SCRIPT = fileURLToPath(new URL('audited.mjs', import.meta.url))

const pair = generateKeyPairSync('ed25519')
export const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
export const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' })

/** A directory that goes with the row, and that everybody may enter. */
export function scratch() {
  const dir = mkdtempSync(join(tmpdir(), 'secure-api-chaos-'))
  chmodSync(dir, 0o777)
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/**
 * The audited server in a process of its own. With `disk`, a directory, a file system of that many kilobytes is mounted
 * there for it alone; `server.inside(path)` leads to it from outside.
 */
export async function startAudited({ path, durability = 'turn', stdout = 'ignore', disk, uid, gid }) {
  const node = [process.execPath, SCRIPT, JSON.stringify({ path, key, durability })]
  const [command, ...args] = disk === undefined ? node : [...mounting(disk), ...node]
  const child = spawn(command, args, { stdio: ['ignore', stdout, 'pipe', 'ipc'], uid, gid })
  const server = {
    child,
    head: undefined,
    port: 0,
    gone: once(child, 'exit'),
    inside: (file) => `/proc/${child.pid}/root${file}`,
  }
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  child.on('message', ({ head, port }) => {
    server.head = head ?? server.head
    server.port = port ?? server.port
  })
  await until(() => server.port > 0 || child.exitCode !== null)
  if (server.port === 0) throw new Error(`the audited process did not start: ${stderr.slice(-500)}`)
  return server
}

/** As somebody who is not root this needs user namespaces. */
function mounting({ dir, kilobytes }) {
  const flags = process.getuid() === 0 ? ['-m'] : ['-r', '-m']
  const script = `mount -t tmpfs -o size=${kilobytes}k none "$1" && shift && exec "$@"`
  return ['unshare', ...flags, 'sh', '-c', script, 'sh', dir]
}

export async function end(server) {
  server.child.kill('SIGKILL')
  await server.gone
}

/** Asks and asks over `connections` connections, until `stop` is called or the server is gone; `seen` are the numbers answered. */
export function clients(port, connections = 16) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const seen = []
  let stopped = false
  const worker = async () => {
    while (!stopped) seen.push(Number(await body(port, '/', agent)))
  }
  const workers = Array.from({ length: connections }, () => worker().catch(() => undefined))
  return {
    seen,
    async stop() {
      stopped = true
      await Promise.all(workers)
      agent.destroy()
    },
  }
}

export function body(port, path, agent) {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', path, agent }, (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (chunk) => (text += chunk))
      res.on('end', () => resolve(text))
      res.on('error', reject)
    }).on('error', reject)
  })
}

export const stats = async ({ port }) => JSON.parse(await body(port, '/stats'))

/** Numbers on record in files, in their order. */
export function numbersIn(...paths) {
  return paths
    .filter((path) => existsSync(path))
    .flatMap((path) => [...readFileSync(path, 'latin1').matchAll(/"facts":\{"n":(\d+)\}/g)])
    .map(([, n]) => Number(n))
}

/** Whether they are 1, 2, 3, ...: none missing, none twice, none in another place. */
export const isUnbroken = (numbers) => numbers.every((n, i) => n === i + 1)
