import request from 'supertest'
import { knowsEverybody, type Everybody, type Fields, type Hooks } from './hostile/support/callers.js'

type Bad = () => never

const WAYS: [how: string, bad: Bad][] = [
  [
    'throws an error',
    () => {
      throw new Error('a hook threw')
    },
  ],
  [
    'throws nothing',
    () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- what an application may do
      throw undefined
    },
  ],
  ['rejects', (() => Promise.reject(new Error('a hook rejected'))) as Bad],
]

/** A request that has the hook called, and what becomes of it. */
type Visit = (everybody: Everybody) => Promise<request.Response>

const get = ({ server }: Everybody, path: string, fields: Fields) =>
  request(server)
    .get(path)
    .set(fields)
    .redirects(0)
    .ok(() => true)
const post = ({ server }: Everybody, path: string, fields: Fields, body: object) =>
  request(server)
    .post(path)
    .set({ ...fields, 'Content-Type': 'application/json' })
    .ok(() => true)
    .send(JSON.stringify(body))
const as =
  (way: string): Visit =>
  (everybody) =>
    get(everybody, '/orders', everybody.ways[way]!().fields)
const known = (everybody: Everybody) => everybody.ways['apiKey']!().fields
const bodyOf = (reply: request.Response) => JSON.parse(reply.text) as Record<string, never>

const registration = async (everybody: Everybody) => {
  const passkey = everybody.passkey()
  const asked = bodyOf(await post(everybody, '/passkeys/registrationOptions', known(everybody), {}))
  const credential = passkey.create(asked as never)
  return { passkey, reply: await post(everybody, '/passkeys/register', known(everybody), { credential }) }
}

const HOOKS: Record<keyof Hooks, { readonly status: number; readonly code: string; readonly visit: Visit }> =
  {
    'mtls.claims': { status: 500, code: 'broken', visit: as('mtls') },
    'basic.users': { status: 503, code: 'identity-provider-unavailable', visit: as('basic') },
    'revocation.check': { status: 500, code: 'broken', visit: as('bearer') },
    'bearer.keys': {
      status: 503,
      code: 'identity-provider-unavailable',
      visit: async (everybody) => {
        const { access_token: token } = await everybody.own.issue({ subject: 'ann' })
        return get(everybody, '/orders', { Authorization: `Bearer ${token}` })
      },
    },
    'tokens.renew': {
      status: 500,
      code: 'broken',
      visit: async (everybody) => {
        const { refresh_token: token } = await everybody.own.issue({ subject: 'ann' })
        return post(everybody, '/refresh', {}, { refresh_token: token })
      },
    },
    'totp.account': {
      status: 500,
      code: 'broken',
      visit: (everybody) => post(everybody, '/totp/enrol', known(everybody), {}),
    },
    'totp.verified': {
      status: 500,
      code: 'broken',
      visit: async (everybody) => {
        const { secret } = bodyOf(await post(everybody, '/totp/enrol', known(everybody), {}))
        return post(everybody, '/totp/confirm', known(everybody), { code: everybody.code(secret!) })
      },
    },
    'webauthn.account': {
      status: 500,
      code: 'broken',
      visit: (everybody) => post(everybody, '/passkeys/registrationOptions', known(everybody), {}),
    },
    'webauthn.attested': {
      status: 500,
      code: 'broken',
      visit: async (everybody) => (await registration(everybody)).reply,
    },
    'webauthn.verified': {
      status: 500,
      code: 'broken',
      visit: async (everybody) => {
        const { passkey } = await registration(everybody)
        const asked = bodyOf(await post(everybody, '/passkeys/authenticationOptions', known(everybody), {}))
        const credential = passkey.get(asked as never)
        return post(everybody, '/passkeys/authenticate', known(everybody), { credential })
      },
    },
    'sso.claims': {
      status: 500,
      code: 'broken',
      visit: async (everybody) => {
        const { provider, issuer } = everybody
        const begun = await get(everybody, '/sso/login', {})
        const sent = new URL(begun.headers['location']!).searchParams
        const claims = { iss: 'https://provider.test', sub: 'ann', nonce: sent.get('nonce') }
        provider.answer = () => ({ id_token: issuer.mint(claims, { header: { typ: 'JWT' } }) })
        const Cookie = (begun.headers['set-cookie'] as unknown as string[])[0]!.split(';')[0]!
        return get(everybody, `/callback?code=c&state=${sent.get('state')!}`, { Cookie })
      },
    },
  }

describe.each(Object.entries(HOOKS))('%s', (name, { status, code, visit }) => {
  test.each(WAYS)('that %s crashes nothing and lets nobody through', async (_how, bad) => {
    const lost: unknown[] = []
    const loses = (reason: unknown): void => void lost.push(reason ?? 'nothing')
    process.on('unhandledRejection', loses)
    const everybody = await knowsEverybody({}, undefined, { [name]: bad })
    try {
      const reply = await visit(everybody)
      // The process hears of a rejection that nobody asks for after the turn in which it came.
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)

      expect(JSON.parse(reply.text)).toMatchObject({ status, code })
      expect(reply.status).toBe(status)
      expect(reply.text).not.toMatch(/hook/)
      expect(reply.headers['set-cookie']).toBeUndefined()
      expect(everybody.handled()).toBe(0)
      expect(lost).toEqual([])
    } finally {
      process.off('unhandledRejection', loses)
      await everybody.close()
    }
  })
})
