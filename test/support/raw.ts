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
 * closes. A server that does not listen does so on the loopback interface for as long as that takes.
 */
export async function sendRaw(server: Server, bytes: string, stays = false): Promise<RawReply> {
  const ours = !server.listening
  if (ours) await listen(server)
  try {
    const received = await exchange((server.address() as AddressInfo).port, bytes, stays)
    const [head = '', body = ''] = received.split('\r\n\r\n', 2)
    return { status: Number(head.split(' ')[1]), head, body }
  } finally {
    if (ours) await new Promise((resolve) => server.close(resolve))
  }
}

/** Sends a request, and leaves once `asked` says that somebody is being asked about it. Resolves when the server has noticed. */
export async function leave(server: Server, bytes: string, asked: Promise<unknown>): Promise<void> {
  await listen(server)
  const left = new Promise((resolve) => server.once('connection', (one) => one.once('close', resolve)))
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write(bytes)
  await asked
  socket.destroy()
  await left
  await new Promise((resolve) => server.close(resolve))
}

/** Starts a server on a free port of the loopback interface. */
export function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
}

/**
 * Writes bytes, ends our side, and reads until the server closes. For a reply that takes its time, the client `stays`: Node
 * takes one that has ended its side for gone.
 */
export function exchange(port: number, bytes: string, stays = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (received += chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
    socket.write(Buffer.from(bytes, 'latin1'))
    if (!stays) socket.end()
  })
}
