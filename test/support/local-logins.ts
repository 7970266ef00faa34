import type { SsoHandlers } from '../../src/identity/sso.js'
import type { Clock } from '../../src/kernel/ports.js'
import {
  localIssuer,
  type LocalIssuer,
  type MintOptions,
  type Served,
  type ServeOptions,
} from '../../src/testing/index.js'

/** What `sso()` is registered as. */
export const SHOP = {
  clientId: 'shop',
  clientSecret: 'secret of the shop',
  redirectUri: 'https://shop.example/callback',
}

/** A login that the provider has not answered yet. */
export interface BegunLogin {
  readonly cookie: string
  readonly state: string
  readonly nonce: string
}

interface LocalLoginsOptions {
  readonly clock?: Pick<Clock, 'now'>
  /** Default: one of its own. */
  readonly issuer?: LocalIssuer
  /** What else it says of itself; read each time. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** A provider of logins without a network: for every code it gives what it is told to. */
export function localLogins({
  clock,
  issuer = localIssuer({ audience: SHOP.clientId, ...(clock && { clock }) }),
  metadata,
}: LocalLoginsOptions = {}) {
  let given: () => object = () => ({})
  const at = (path: string) => `${issuer.issuer}/${path}`
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    if (url.endsWith('/.well-known/openid-configuration'))
      return Response.json({
        issuer: issuer.issuer,
        jwks_uri: at('jwks'),
        authorization_endpoint: at('authorize'),
        token_endpoint: at('token'),
        id_token_signing_alg_values_supported: ['ES256'],
        ...metadata,
      })
    if (url.endsWith('/token')) return Response.json({ access_token: 'x', token_type: 'bearer', ...given() })
    return issuer.fetch(input, init)
  }
  return {
    issuer,
    fetch,
    /** What comes for the next code. */
    give: (answer: () => object) => void (given = answer),
    idToken: ({ nonce }: Pick<BegunLogin, 'nonce'>, claims: object = {}, options: MintOptions = {}) =>
      issuer.mint({ sub: 'ann', nonce, ...claims }, { header: { typ: 'JWT' }, ...options }),
  }
}

/** As far as the provider. */
export async function beginLogin({ get }: Pick<Served, 'get'>): Promise<BegunLogin> {
  const { headers } = await get('/login').expect(303)
  const [cookie] = (headers['set-cookie'] as unknown as string[])[0]!.split(';')
  const sent = new URL(headers['location']!).searchParams
  return { cookie: cookie!, state: sent.get('state')!, nonce: sent.get('nonce')! }
}

/** The way back. */
export function callback({ get }: Pick<Served, 'get'>, { cookie, state }: BegunLogin, more = 'code=c') {
  return get(`/callback?${more}&state=${state}`).set('Cookie', cookie)
}

/** Its login at the path of that name, and its callback elsewhere. */
export function loginRoutes({ login, callback }: SsoHandlers): NonNullable<ServeOptions['handler']> {
  return (req, res, next) => (req.url!.startsWith('/login') ? login : callback)(req, res, next)
}
