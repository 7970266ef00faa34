// Serves the API on a free port of this machine, sends single requests to it, and looks at what its stages decided.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { contextOf } from 'secure-api'

export async function probe() {
  let handle
  let exchange
  const server = createServer((req, res) => {
    exchange = once(res, 'close').then(() => contextOf(req).trace)
    handle(req, res)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address()
  const host = `localhost:${port}`

  /** @param {(req: import('node:http').IncomingMessage, res: import('node:http').ServerResponse) => void} handler what answers from now on */
  function serve(handler) {
    handle = handler
  }

  /** Not `fetch`: that would tidy up the paths and headers which are the point here. */
  async function send({ method = 'GET', path, token, headers = {}, body }) {
    const sent = request({
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: { Host: host, ...headers, ...usual(token, body) },
    })
    sent.end(text(body))
    const [received] = await once(sent, 'response')
    const content = await received.toArray()
    return {
      status: received.statusCode,
      headers: received.headers,
      body: parse(Buffer.concat(content).toString()),
      trace: await exchange,
    }
  }

  async function close() {
    server.closeAllConnections()
    await once(server.close(), 'close')
  }

  return { origin: `http://${host}`, serve, send, close }
}

/** The header fields that go with a token and with a body. */
export function usual(token, body) {
  return {
    ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    ...(body !== undefined && { 'Content-Type': 'application/json' }),
  }
}

/** A body as it is sent. Text is sent as it is. */
export function text(body) {
  return typeof body === 'object' ? JSON.stringify(body) : body
}

function parse(content) {
  return content === '' ? undefined : JSON.parse(content)
}
