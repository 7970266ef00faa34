import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'

/** Serves on a loopback port of the system's choice. */
export async function listen(listener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  // A connection that is closed for idleness while a request is on its way would look like a fault.
  server.keepAliveTimeout = 60_000
  await once(server, 'listening')
  const { port } = server.address()
  return {
    server,
    port,
    url: `http://127.0.0.1:${port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** One request. Resolves to status and headers; the status of one without an answer after `limitMs` is `'hung'`. */
export function ask(port, { path = '/', headers = {}, agent = false, limitMs = 5_000, body, ...rest } = {}) {
  return new Promise((resolve) => {
    const req = request({ port, host: '127.0.0.1', path, headers, agent, ...rest })
    const hung = setTimeout(() => {
      resolve({ status: 'hung', headers: {} })
      req.destroy()
    }, limitMs)
    const settle = (answer) => {
      clearTimeout(hung)
      resolve(answer)
    }
    req.once('response', (res) => {
      res.resume().once('end', () => settle({ status: res.statusCode, headers: res.headers }))
      res.once('error', () => settle({ status: 'cut', headers: {} }))
    })
    req.once('error', (error) => settle({ status: error.code ?? 'failed', headers: {} }))
    req.end(body)
  })
}

/** `count` requests over `connections` connections; `optionsOf(i)` says what each is. Resolves to how many had which status. */
export async function flood(port, count, optionsOf = () => ({}), connections = 32) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const statuses = {}
  let next = 0
  const worker = async () => {
    while (next < count) {
      const { status } = await ask(port, { agent, ...optionsOf(next++) })
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  agent.destroy()
  return statuses
}

/** `{ 200: 5, 429: 10 }` as `5 x 200, 10 x 429`. */
export function told(statuses) {
  return Object.entries(statuses)
    .map(([status, count]) => `${count} x ${status}`)
    .join(', ')
}
