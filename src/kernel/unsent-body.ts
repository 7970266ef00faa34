import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SecurityContext } from './context.js'

/** So much of a body that nobody wants is taken and thrown away for the sake of the connection. */
const DRAIN_BYTES = 65_536

/**
 * Whether the client may go on sending more than that. Node would take and throw away all of it, however much it is, to use
 * the connection again; behind `Connection: close` it takes no more (RFC 9112 section 9.6).
 */
export function hasMuchToSend({ complete, headers, httpVersionMajor }: IncomingMessage): boolean {
  // In HTTP/2 a stream ends alone.
  if (complete || httpVersionMajor > 1) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > DRAIN_BYTES
}

/**
 * Tells a client that waits for it to send its body (RFC 9110 section 10.1.1). Node does so before anybody was asked, unless
 * the server has a listener for `checkContinue`.
 */
export function inviteBody({ req, res }: SecurityContext): void {
  if (!/^100-continue$/i.test(req.headers.expect ?? '') || req.complete || res.headersSent) return
  const { _expect_continue: isExpected, _sent100: isInvited } = res as ServerResponse & NodesOwn
  if (isExpected === true && isInvited !== true) res.writeContinue()
}

/** Node's own notes on a response: whether it was asked for a 100, and gave it. */
interface NodesOwn {
  readonly _expect_continue?: boolean
  readonly _sent100?: boolean
}
