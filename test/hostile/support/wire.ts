import { createServer, type Server, type ServerOptions } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import type { SecureApi } from '../../../src/secure-api.js'
import { sendJson } from '../../support/api.js'
import { listen } from '../../support/raw.js'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** An API behind its front door, spoken to in bytes. */
export interface Wire {
  /**
   * Writes `bytes`, one per character, and never ends its side: what comes back is complete when the server has closed
   * the connection.
   */
  readonly say: (bytes: string | Buffer) => Promise<Reply[]>
  /** Method and URL of every request that reached the handler, in order. */
  readonly handled: string[]
  readonly server: Server
  readonly close: () => void
}

export async function wireTo(api: SecureApi, options: ServerOptions = {}): Promise<Wire> {
  const handled: string[] = []
  const http = createServer(
    options,
    api.protect((req, res) => {
      handled.push(`${req.method!} ${req.url!}`)
      sendJson(res, { ok: true })
    }),
  )
  await listen(http)
  return {
    say: (bytes) => say((http.address() as AddressInfo).port, bytes),
    handled,
    server: http,
    close: () => void http.close(),
  }
}

function say(port: number, bytes: string | Buffer): Promise<Reply[]> {
  return new Promise((resolve) => {
    let received = ''
    const socket = connect(port, '127.0.0.1')
    socket.setEncoding('latin1').on('data', (text: string) => (received += text))
    // A server that closes while bytes are on their way resets the connection; what it said before still counts.
    socket.on('error', () => undefined).on('close', () => resolve(repliesIn(received)))
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  })
}

function repliesIn(text: string): Reply[] {
  return text
    .split(/(?=HTTP\/1\.1 \d)/)
    .filter((reply) => reply !== '')
    .map((reply) => {
      const end = reply.indexOf('\r\n\r\n')
      const [status = '', ...lines] = reply.slice(0, end).split('\r\n')
      const fields = lines.map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      })
      return {
        status: Number(status.split(' ')[1]),
        headers: Object.fromEntries(fields),
        body: reply.slice(end + 4),
      }
    })
}
