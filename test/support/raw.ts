import type { Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'

/** What came back over the socket. */
export interface RawReply {
  readonly status: number
  readonly head: string
  readonly body: string
}

/**
 * Writes bytes that HTTP clients would normalise or refuse to send, one byte per character, and reads until the server
 * closes. The server listens on the loopback interface for as long as that takes. One call at a time.
 */
export async function sendRaw(server: Server, bytes: string): Promise<RawReply> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const received = await exchange((server.address() as AddressInfo).port, bytes)
    const [head = '', body = ''] = received.split('\r\n\r\n', 2)
    return { status: Number(head.split(' ')[1]), head, body }
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (received += chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
    socket.end(Buffer.from(bytes, 'latin1'))
  })
}
