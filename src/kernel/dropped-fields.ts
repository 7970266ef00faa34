import type { IncomingMessage, Server } from 'node:http'

/** What Node's parser keeps unless `server.maxHeadersCount` says otherwise: 2000 names and values. */
const KEPT = 1000

/**
 * Whether header fields may be missing from `req.headers`. Node drops what comes behind the first thousand and says
 * nothing: a client that sends so many decides which of the fields that proxies add at the end are seen.
 */
export function mayLackFields({ rawHeaders, socket }: IncomingMessage): boolean {
  const { server } = socket as { server?: Partial<Pick<Server, 'maxHeadersCount'>> | null }
  const kept = server?.maxHeadersCount ?? KEPT
  return kept > 0 && rawHeaders.length >= 2 * kept
}
