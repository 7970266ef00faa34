// How people log in: at an identity provider, with a second factor of this API for what matters. This file is to be copied, too.
import { randomBytes } from 'node:crypto'
import { memory, session, sso, totp, webauthn } from 'secure-api'

/** A passkey (`pop`) or a code of an authenticator app (`otp`), shown just now. */
export const RECENT_FACTOR = { amr: [['pop', 'otp']], maxAgeSeconds: 300 }
const RECENT_LOGIN = { maxAgeSeconds: 300 }
const OFTEN = { limit: 20, windowMs: 60_000 }

/**
 * @param {object} options
 * @param {string} options.issuer the identity provider
 * @param {{ clientId: string, clientSecret: string }} options.client what this API is called there
 * @param {string} options.origin where browsers reach this API; passkeys belong to its host, for ever
 * @param {import('secure-api').Store} [options.store] in production redis(client) or postgres(pool)
 * @param {{ codes: Buffer, passkeys: Buffer }} [options.keys] in production from where your secrets are
 */
export function login({ issuer, client, origin, store = memory(), keys = randomKeys() }) {
  // Without TLS, and with cookies that say so, on the machine of a developer only.
  const isLocal = new URL(origin).hostname === 'localhost'
  const sessions = session({ store, dangerouslyAllowHttp: isLocal })

  const provider = sso({
    issuer,
    ...client,
    redirectUri: `${origin}/callback`,
    postLogoutRedirectUri: `${origin}/`,
    scope: 'openid profile',
    // A provider that is asked for it also says when its user logged in, which RECENT_LOGIN looks at.
    maxAgeSeconds: 43_200,
    // Whom the provider knows need not be anybody here.
    claims: ({ name, roles }) => (Array.isArray(roles) && roles.length > 0 ? { name, roles } : undefined),
    sessions,
    store,
    allowInsecureLoopback: isLocal,
  })

  /** Notes in the session what was shown, and when: that is what `stepUp` looks at. */
  const verified = async ({ factor }, req, res) => {
    await sessions.addFactor(req, res, factor.method)
  }
  const codes = totp({ store, key: keys.codes, issuer: 'Orders', verified })
  const passkeys = webauthn({
    ...{ store, key: keys.passkeys, verified },
    ...{ rpId: new URL(origin).hostname, rpName: 'Orders', origins: [origin] },
  })

  const anybody = { public: true }
  const routes = {
    'GET /login': { ...anybody, rateLimit: OFTEN },
    'GET /callback': anybody,
    // Other sites log nobody out, either.
    'POST /logout': { ...anybody, csrf: { always: true } },
    // The provider itself tells whom it logged out, and proves by its signature that it is the provider.
    'POST /logged-out': anybody,
    'GET /me': { auth: { methods: ['session'] }, rbac: 'authenticated' },
    '* /mfa/*': { auth: { methods: ['session'] }, rbac: 'authenticated', rateLimit: OFTEN },
  }

  function mount(app, api) {
    app.get('/login', provider.handlers.login)
    app.get('/callback', provider.handlers.callback)
    app.post('/logout', provider.handlers.logout)
    app.post('/logged-out', provider.handlers.backChannelLogout)

    app.get('/me', (req, res) => {
      const { subject, claims, authentication } = req.security.principal
      res.json({ subject, name: claims.name, roles: claims.roles, authentication })
    })

    const afterLogin = api.guard({ stepUp: RECENT_LOGIN })
    const afterFactor = api.guard({ stepUp: RECENT_FACTOR })

    /** Who has just logged in sets up a first factor. Another one takes one that is there: a stolen session adds none of its own. */
    async function mayEnrol(req, res, next) {
      const { id } = req.security.principal
      const [{ active }, { length }] = await Promise.all([codes.status(id), passkeys.list(id)])
      const guard = active || length > 0 ? afterFactor : afterLogin
      guard(req, res, next)
    }

    app.get('/mfa/codes', codes.handlers.status)
    app.post('/mfa/codes/enrol', mayEnrol, codes.handlers.enrol)
    app.post('/mfa/codes/confirm', mayEnrol, codes.handlers.confirm)
    app.post('/mfa/codes/verify', codes.handlers.verify)
    // Takes a code, or a recovery code of who has lost the app.
    app.post('/mfa/codes/remove', codes.handlers.remove)

    app.get('/mfa/passkeys', passkeys.handlers.list)
    app.post('/mfa/passkeys/options', mayEnrol, passkeys.handlers.registrationOptions)
    app.post('/mfa/passkeys/register', mayEnrol, passkeys.handlers.register)
    app.post('/mfa/passkeys/proof-options', passkeys.handlers.authenticationOptions)
    app.post('/mfa/passkeys/proof', passkeys.handlers.authenticate)
    app.post('/mfa/passkeys/remove', afterFactor, passkeys.handlers.remove)
  }

  return { sessions, routes, mount, ready: () => provider.ready(), close: () => provider.close() }
}

function randomKeys() {
  return { codes: randomBytes(32), passkeys: randomBytes(32) }
}
