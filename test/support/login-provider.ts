import type { JsonWebKey } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { signingKey } from './provider.js'
import { strangers } from './secrets.js'

/** Follows redirects as a browser does, with a cookie jar for each origin, and stops where it is told to. */
export class Browser {
  private readonly jars = new Map<string, Map<string, string>>()

  /** One request, no redirect followed. */
  async send(url: string, options: { method?: string; form?: Record<string, string> } = {}) {
    const { origin } = new URL(url)
    const jar = this.jars.get(origin) ?? new Map<string, string>()
    this.jars.set(origin, jar)
    const reply = await fetch(url, {
      method: options.method ?? (options.form === undefined ? 'GET' : 'POST'),
      headers: { cookie: [...jar].map((pair) => pair.join('=')).join('; '), origin },
      redirect: 'manual',
      ...(options.form !== undefined && { body: new URLSearchParams(options.form) }),
    })
    for (const field of reply.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(field)!
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(field)) jar.delete(name!)
      else jar.set(name!, value!)
    }
    const location = reply.headers.get('location')
    return {
      status: reply.status,
      headers: reply.headers,
      text: await reply.text(),
      location: location === null ? undefined : new URL(location, url).href,
    }
  }

  /** Follows redirects until `stop` says so of the next URL; fills in the forms of the provider on the way. */
  async follow(url: string, stop: (next: string) => boolean, login = 'ann'): Promise<string> {
    for (let next = url, steps = 0; steps < 20; steps++) {
      if (stop(next)) return next
      const reply = await this.send(next)
      if (reply.location !== undefined) {
        next = reply.location
        continue
      }
      const form = /<form[^>]* action="([^"]+)" method="post"/i.exec(reply.text)
      if (form === null) throw new Error(`${next} answered ${reply.status}: ${reply.text.slice(0, 500)}`)
      const fields = Object.fromEntries(
        [...reply.text.matchAll(/<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]+)"/gi)].map(
          ([, name, value]) => [name, value],
        ),
      ) as Record<string, string>
      const typed = reply.text.includes('name="login"') ? { login, password: 'any' } : {}
      const posted = await this.send(new URL(form[1]!, next).href, { form: { ...fields, ...typed } })
      if (posted.location === undefined)
        throw new Error(`${next}: ${posted.status} ${posted.text.slice(0, 500)}`)
      next = posted.location
    }
    throw new Error('There was no end of redirects')
  }

  cookies(origin: string): ReadonlyMap<string, string> {
    return this.jars.get(origin) ?? new Map()
  }
}

export const CLIENT = { clientId: 'shop', clientSecret: 'shop secret/with+odd:characters' }

/**
 * A real identity provider on this machine, with its pages, for an application that will be at `app`.
 *
 * @param more what else is registered of the client
 * @param configuration of the provider, beside its logouts
 */
export async function startLoginProvider(
  app: string,
  more: Record<string, unknown> = {},
  { features, ...configuration }: { features?: object; [option: string]: unknown } = {},
) {
  const { Provider } = await import('oidc-provider')
  const answer: { by?: RequestListener } = {}
  const broken = new Map<string, RequestListener>()
  let server: Server
  const listen = async (port: number) => {
    server = createServer((req, res) => (broken.get(req.url!) ?? answer.by!)(req, res))
    strangers.add(server)
    await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening))
    return (server.address() as AddressInfo).port
  }
  const port = await listen(0)
  const issuer = `http://127.0.0.1:${port}`
  const failures: unknown[] = []
  /** Another provider at the same place: of what was begun before, it knows nothing. */
  const signWith = (keys: JsonWebKey[], others: object = {}) => {
    const provider = new Provider(issuer, { ...settings(keys), ...others })
    const emitter = provider as unknown as EventEmitter
    emitter.on('backchannel.error', (_ctx: unknown, error: unknown) => void failures.push(error))
    answer.by = provider.callback()
  }
  const settings = (keys: JsonWebKey[]) => ({
    jwks: { keys },
    clients: [
      {
        client_id: CLIENT.clientId,
        client_secret: CLIENT.clientSecret,
        redirect_uris: [`${app}/callback`],
        post_logout_redirect_uris: [`${app}/bye`],
        backchannel_logout_uri: `${app}/backchannel-logout`,
        backchannel_logout_session_required: true,
        ...more,
      },
    ],
    cookies: { keys: ['some', 'keys'] },
    pkce: { required: () => true },
    claims: { openid: ['sub'], profile: ['name', 'groups'] },
    conformIdTokenClaims: false,
    findAccount: (_ctx: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, name: 'Ann', groups: ['clerk'] }),
    }),
    features: {
      devInteractions: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      ...features,
    },
    ...configuration,
  })
  signWith([signingKey('first', 'RS256')])
  return {
    issuer,
    signWith,
    /** What is answered at a path instead of the truth; `undefined` mends it. */
    breakAt: (path: string, fault: RequestListener | undefined) =>
      fault === undefined ? void broken.delete(path) : void broken.set(path, fault),
    /** Why the application could not be told of a logout. */
    failures,
    close: () =>
      new Promise<void>((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
    reopen: () => listen(port),
  }
}
