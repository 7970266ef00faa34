import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { totp, type TotpEnrolment } from '../../src/identity/totp.js'
import { backends, startProcess, type ApiProcess, type Backend } from '../support/processes.js'

const key = randomBytes(32).toString('base64')

const SERVER = `
  const otp = secureApi.totp({ store, key: args[0], issuer: 'Acme', storeTimeoutMs: 10_000 })
  listen(async (req, res) => {
    const [, what, code] = req.url.split('/')
    const outcome = await otp[what]('ann', code, req.headers['x-client'])
    res.end(outcome.code ?? outcome.factor.method)
  })
`

async function show({ origin }: ApiProcess, what: 'verify' | 'recover', code: string, client = 'a') {
  const reply = await fetch(`${origin}/${what}/${code}`, { headers: { 'X-Client': client } })
  return reply.text()
}

describe.each(backends)('two processes over one %s', (_kind, start) => {
  let backend: Backend
  let apis: ApiProcess[] = []
  beforeAll(async () => {
    backend = await start()
    apis = await Promise.all([1, 2].map(() => startProcess(backend, SERVER, key)))
  })
  afterAll(async () => {
    for (const api of apis) await api.stop()
    await backend.stop()
  })

  test('take a code once and a recovery code once, and count guesses together (ASVS 6.5.1, 6.3.1)', async () => {
    const otp = totp({ store: backend.store, key, issuer: 'Acme' })
    const { secret } = (await otp.enrol('ann', 'ann')) as TotpEnrolment
    const app = new TOTP({ secret: Secret.fromBase32(secret) })
    const done = await otp.confirm('ann', app.generate())
    if (!('recoveryCodes' in done)) throw new Error(done.code)

    const next = app.generate({ timestamp: Date.now() + 30_000 })
    const all = (what: 'verify' | 'recover', code: string) =>
      Promise.all([0, 1, 2, 3, 4, 5].map((i) => show(apis[i % 2]!, what, code, `c${i}`)))
    expect((await all('verify', next)).filter((said) => said === 'otp')).toHaveLength(1)
    expect((await all('recover', done.recoveryCodes[0]!)).filter((said) => said === 'recovery')).toHaveLength(
      1,
    )

    const guesses = await Promise.all(
      Array.from({ length: 12 }, (_, i) => show(apis[i % 2]!, 'verify', '00000x', 'bot')),
    )
    expect(guesses.filter((said) => said === 'invalid-proof')).toHaveLength(5)
    expect(guesses.filter((said) => said === 'too-many-attempts')).toHaveLength(7)
  })
})
