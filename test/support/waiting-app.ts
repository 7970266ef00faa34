import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { listen } from './raw.js'

type Handler = (req: IncomingMessage, res: ServerResponse) => void

/** A place on this machine for an application that others, such as its identity provider, must know before it is made. */
export async function waitingApp() {
  let handler: Handler
  const server = createServer((req, res) => handler(req, res))
  await listen(server)
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answerBy: (next: Handler) => void (handler = next),
    close: () => server.close().closeAllConnections(),
  }
}
