// Logins and logouts, in the tour.
import { Person } from './person.js'
import { pay } from './requests/parts.js'

const EVIL = 'https://evil.example.net'
export const BEGINS = {
  protection: 'sso',
  shows: 'a login begins at the identity provider',
  path: '/login',
  status: 303,
  stage: 'public',
  reply: ({ headers }) => {
    const asked = new URL(headers.location).searchParams
    return asked.get('code_challenge_method') === 'S256' && asked.has('state') && asked.has('nonce')
  },
}
const RETURNS = { protection: 'sso', status: 303, stage: 'public' }
const KNOWN = { protection: 'session', path: '/me', status: 200, stage: 'auth', rule: 'session' }
export const UNKNOWN = { protection: 'session', path: '/me', status: 401, stage: 'auth' }

export async function logsIn(tess) {
  await tess.does({
    protection: 'sso',
    shows: 'a login that would come out at another site',
    path: `/login?return_to=${encodeURIComponent(EVIL)}`,
    status: 400,
    stage: 'ssoLogin',
    rule: 'return-to',
  })
  const path = await tess.logsInThere('tess', BEGINS)
  await new Person(tess.tour).does({
    protection: 'sso',
    shows: 'what comes back, in a browser that did not begin',
    path,
    status: 403,
    stage: 'ssoCallback',
    rule: 'sso-browser',
  })
  await tess.does({
    ...RETURNS,
    shows: 'what comes back, in the one that did',
    path,
    reply: ({ headers }) =>
      headers.location === '/' && headers['set-cookie'].every((cookie) => /; HttpOnly/.test(cookie)),
  })
  await tess.does({
    ...RETURNS,
    shows: 'the same once more',
    path,
    status: 403,
    stage: 'ssoCallback',
    rule: 'sso-state',
  })
  await tess.does({
    ...KNOWN,
    shows: 'a browser whose user logged in',
    reply: ({ body }) => body.subject === 'tess' && body.roles.includes('treasurer'),
  })
  await tess.does({
    protection: 'csrf',
    shows: 'a page of another site that would pay for its visitor',
    ...pay,
    headers: { Origin: EVIL },
    status: 403,
    stage: 'csrf',
    rule: 'cross-origin',
  })
}

export async function logsOut(tess) {
  const cookie = String(tess.here)
  const { headers } = await tess.does({
    protection: 'sso',
    shows: 'a logout, here and at the provider',
    method: 'POST',
    path: '/logout',
    status: 303,
    stage: 'csrf',
    reply: (reply) => reply.headers.location.startsWith(tess.tour.issuer),
  })
  await tess.goesThrough(headers.location, { logout: 'yes' })
  await tess.does({ ...UNKNOWN, shows: 'the cookie of before the logout', headers: { Cookie: cookie } })
}

export async function isEndedFromThere(tess) {
  const path = await tess.logsInThere('tess', { ...BEGINS, shows: 'and a login again' })
  await tess.does({ ...RETURNS, shows: 'what comes back', path })
  await tess.does({
    protection: 'stepUp',
    shows: 'who has a factor shows it before another one is added',
    method: 'POST',
    path: '/mfa/passkeys/options',
    body: {},
    status: 401,
    stage: 'stepUp',
    rule: 'authentication-method',
  })
  const elsewhere = new URLSearchParams({
    client_id: 'orders',
    post_logout_redirect_uri: `${tess.tour.origin}/`,
  })
  await tess.goesThrough(`${tess.tour.issuer}/session/end?${elsewhere}`, { logout: 'yes' })
  await tess.does({
    ...UNKNOWN,
    shows: 'whom the provider logged out, is out here too',
    rule: 'session-unknown',
  })
}

export async function hasNoPlaceHere(vic) {
  const path = await vic.logsInThere('vic', { ...BEGINS, shows: 'a login of somebody else' })
  await vic.does({
    ...RETURNS,
    shows: 'somebody whom the provider knows, and who has no role',
    path,
    status: 403,
    stage: 'ssoCallback',
    rule: 'sso-user',
  })
}
