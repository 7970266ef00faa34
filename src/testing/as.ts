import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** What `apiKeys()` is, as far as it is used here. */
export interface KeyDesk<Options> {
  create(options: Options): Promise<{ readonly key: string }>
}

/** What `session()` is, as far as it is used here. */
export interface SessionDesk<Options> {
  login(req: IncomingMessage, res: ServerResponse, options: Options): Promise<unknown>
}

/** What `tokens()` is, as far as it is used here. */
export interface TokenDesk<Options> {
  issue(options: Options): Promise<{ readonly access_token: string }>
}

/**
 * The header field of a caller with a new API key.
 *
 * @param header where `apiKey` looks. Default `X-API-Key`
 * @example
 * await request(app).get('/orders').set(await asKey(keys, { owner: 'partner-7', scopes: ['orders:read'] })).expect(200)
 */
export async function asKey<Options>(
  keys: KeyDesk<Options>,
  options: Options,
  header = 'X-API-Key',
): Promise<Record<string, string>> {
  return { [header]: (await keys.create(options)).key }
}

/**
 * The header fields of a browser that is logged in, and on a page of the application.
 *
 * @example
 * await request(app).post('/orders').set(await asSession(sessions, { subject: 'user-1', factors: ['pwd'] })).expect(201)
 */
export async function asSession<Options>(
  sessions: SessionDesk<Options>,
  options: Options,
): Promise<{ Cookie: string; 'Sec-Fetch-Site': string }> {
  const res = new ServerResponse(new IncomingMessage(new Socket()))
  await sessions.login(res.req, res, options)
  const fields = [res.getHeader('Set-Cookie') ?? []].flat() as readonly string[]
  const Cookie = fields.map((field) => field.slice(0, field.indexOf(';'))).join('; ')
  if (Cookie === '') throw new Error('asSession: the login set no cookie')
  return { Cookie, 'Sec-Fetch-Site': 'same-origin' }
}

/**
 * The header field of a caller with an access token of `tokens()`.
 *
 * @example
 * await request(app).get('/me').set(await asIssued(own, { subject: 'user-1' })).expect(200)
 */
export async function asIssued<Options>(
  own: TokenDesk<Options>,
  options: Options,
): Promise<{ Authorization: string }> {
  return { Authorization: `Bearer ${(await own.issue(options)).access_token}` }
}
