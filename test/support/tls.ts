import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer, request, type RequestOptions, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Issued } from './certificates.js'

/** Serves over TLS on loopback, where clients may show a certificate. */
export async function listenTls(own: Issued, ca: readonly string[], listener: RequestListener) {
  const options = { ...own, ca: [...ca], requestCert: true, rejectUnauthorized: false }
  const server: Server = createServer(options, listener)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

/** `fetch` for those who trust this authority, and may show a certificate: the built-in one can do neither. */
export function fetchBy(ca: string, client?: Issued): typeof fetch {
  return (url, { method = 'GET', headers, body, signal } = {}) =>
    new Promise((resolve, reject) => {
      const options: RequestOptions = {
        method,
        headers: Object.fromEntries(new Headers(headers)),
        ca,
        agent: false,
        ...client,
        ...(signal != null && { signal }),
      }
      const sent = request(url as string, options, (reply) => {
        const chunks: Buffer[] = []
        reply.on('data', (chunk: Buffer) => chunks.push(chunk))
        reply.on('error', reject)
        reply.on('end', () => resolve(responseOf(reply, Buffer.concat(chunks))))
      })
      sent.on('error', reject)
      sent.end(body == null ? undefined : String(body as string | URLSearchParams))
    })
}

function responseOf({ statusCode, headers }: IncomingMessage, bytes: Buffer): Response {
  const fields = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)])
  return new Response(bytes.length === 0 ? null : new Uint8Array(bytes), {
    status: statusCode!,
    headers: fields,
  })
}
