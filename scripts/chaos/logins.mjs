import { randomUUID } from 'node:crypto'
import { memory, secureApi, session, sso } from 'secure-api'
import { localIssuer } from 'secure-api/testing'
import { ask, flood, listen, told } from './support/http.mjs'
import { ms, upTo } from './support/measure.mjs'
import { silences } from './support/silences.mjs'

const TIMEOUT_MS = 1_000
/** What `sso()` asks the provider for, and when. */
const asked = {
  metadata: 'the first login asks who the provider is',
  '/token': 'a user comes back with a code',
  '/jwks': 'the first ID token is to be judged',
}

export const rows = Object.entries(asked).flatMap(([what, when]) =>
  Object.entries(silences).map(([how, answer]) => ({
    name: `${when}, and is answered ${how}`,
    promise: `503 with Retry-After within ${TIMEOUT_MS / 1000}.3 s (timeoutMs is 1 s), and no session; whoever is logged in does not notice; the next login is well`,
    run: () => upTo(3, () => unanswered(what, answer)),
  })),
)

async function unanswered(what, answer) {
  let broken = false
  let nonce
  const provider = await listen((req, res) => {
    const path = req.url.startsWith('/.well-known/') ? 'metadata' : req.url
    if (broken && path === what) return answer(req, res)
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify(answers[path]()))
  })
  const issuer = localIssuer({ issuer: provider.url, audience: 'shop' })
  const at = (path) => provider.url + path
  const answers = {
    metadata: () => ({
      issuer: provider.url,
      jwks_uri: at('/jwks'),
      authorization_endpoint: at('/auth'),
      token_endpoint: at('/token'),
      id_token_signing_alg_values_supported: ['ES256'],
    }),
    '/jwks': () => issuer.jwks,
    '/token': () => ({
      access_token: randomUUID(),
      token_type: 'bearer',
      id_token: issuer.mint({ sub: 'ann', nonce }, { header: { typ: 'JWT' } }),
    }),
  }

  const store = memory()
  const sessions = session({ store, dangerouslyAllowHttp: true })
  /** A process that knows nothing of the provider yet. */
  const start = async () => {
    const login = sso({
      ...{ issuer: provider.url, clientId: 'shop', clientSecret: randomUUID(), sessions, store },
      ...{ redirectUri: 'http://127.0.0.1/callback', timeoutMs: TIMEOUT_MS, allowInsecureLoopback: true },
    })
    const open = { public: true }
    const api = secureApi({
      ...{ auth: [sessions], audit: false, rateLimit: false, log: silent },
      routes: { 'GET /login': open, 'GET /callback': open },
    })
    const handlerOf = (url) => login.handlers[url.startsWith('/login') ? 'login' : 'callback']
    const http = await listen(
      api.protect((req, res) =>
        req.url === '/' ? res.end() : handlerOf(req.url)(req, res, () => res.end()),
      ),
    )
    const close = async () => {
      http.close()
      await login.close()
      await api.close()
    }
    return { port: http.port, close }
  }
  /** The answer to the last request of a login, and the session. */
  const logIn = async (port) => {
    const begun = await ask(port, { path: '/login' })
    if (begun.status !== 303) return begun
    const sent = new URL(begun.headers.location).searchParams
    nonce = sent.get('nonce')
    const headers = { Cookie: cookieOf(begun) }
    return ask(port, { path: `/callback?code=c&state=${sent.get('state')}`, headers, limitMs: 10_000 })
  }

  const first = await start()
  const known = await logIn(first.port)
  const cookie = cookieOf(known)
  await first.close()

  const second = await start()
  broken = true
  const began = performance.now()
  const refused = await logIn(second.port)
  const waited = performance.now() - began
  const meanwhile = await flood(second.port, 100, () => ({ headers: { Cookie: cookie } }))
  broken = false
  const again = await logIn(second.port)
  await second.close()
  provider.close()
  const ok =
    known.status === 303 &&
    refused.status === 503 &&
    Number(refused.headers['retry-after']) >= 1 &&
    refused.headers['set-cookie'] === undefined &&
    waited <= TIMEOUT_MS + 300 &&
    Object.keys(meanwhile).join() === '200' &&
    again.status === 303 &&
    cookieOf(again) !== ''
  return {
    ok,
    measured: `${refused.status} after ${ms(waited)}; logged in meanwhile: ${told(meanwhile)}; next login ${again.status}`,
  }
}

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

function cookieOf({ headers }) {
  return [headers['set-cookie'] ?? ''].flat()[0].split(';')[0]
}
