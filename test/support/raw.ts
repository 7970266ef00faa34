import { connect, type AddressInfo } from 'node:net'
import type { Server } from 'node:http'

/** What came back over the socket. */
export interface RawReply {
  readonly status: number
  readonly head: string
  readonly body: string
}

/**
 * Writes bytes that HTTP clients would normalise or refuse to send, one byte per character, and reads until the server
 * closes. The server must listen.
 */
export function sendRaw(server: Server, bytes: string): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    let received = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (received += chunk))
    socket.on('error', reject)
    socket.on('close', () => {
      const [head = '', body = ''] = received.split('\r\n\r\n', 2)
      resolve({ status: Number(head.split(' ')[1]), head, body })
    })
    socket.end(Buffer.from(bytes, 'latin1'))
  })
}

/** Starts a server on a free port of the loopback interface. */
export function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
}
