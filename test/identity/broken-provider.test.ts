import { bearer } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import { expectRefused, fakeClock, serve } from '../../src/testing/index.js'
import { brokenAnswers, dripping } from '../support/broken-answers.js'
import { signingKey, startProvider, type Provider } from '../support/provider.js'
import { quietConsole } from '../support/quiet-console.js'

const METADATA = '/.well-known/openid-configuration'
let provider: Provider
const keys = [signingKey('one', 'ES256')]
let token: string

quietConsole()
beforeAll(async () => {
  provider = await startProvider('ES256')
})
afterAll(() => provider.close())

const jwt = { format: 'jwt', method: () => bearer(provider.trust) } as const
const opaque = { format: 'opaque', method: () => introspection(provider.trustAsClient) } as const

function start({ method }: typeof jwt | typeof opaque) {
  const clock = fakeClock(Date.now())
  const stage = method()
  const { get, handled } = serve(stage, { clock })
  const send = () => get('/').set('Authorization', `Bearer ${token}`)
  const refused = expectRefused('identity-provider-unavailable')
  const close = async () => stage.stage.close?.()
  return { clock, handled, send, refused, close }
}

describe.each([
  ['a JWT: the metadata', jwt, METADATA],
  ['a JWT: the keys', jwt, '/jwks'],
  ['an opaque token: the metadata', opaque, METADATA],
  ['an opaque token: the answer about it', opaque, '/token/introspection'],
] as const)('%s', (_what, kind, path) => {
  beforeEach(async () => {
    provider.signWith(keys, kind.format)
    token = await provider.token()
  })
  afterEach(() => provider.breakAt(path, undefined))

  // Metadata that is not there is looked for where RFC 8414 puts it, and this provider has it there too.
  const answers = Object.keys(brokenAnswers).filter((answer) => path !== METADATA || answer !== 'status 404')
  test.each(answers)(
    'is %s: 503 with Retry-After, and 200 once the provider is well again',
    async (answer) => {
      const { send, refused, handled, clock, close } = start(kind)
      provider.breakAt(path, brokenAnswers[answer])
      for (let n = 0; n < 4; n++) {
        const reply = await send().expect(refused)
        expect(reply.headers['retry-after']).toBe('1')
        expect(reply.headers['www-authenticate']).toBeUndefined()
        // The next one asks anew, and the breaker opens.
        clock.advance(1_000)
      }
      expect(handled()).toBe(0)

      provider.breakAt(path, undefined)
      await send().expect(200)
      await close()
    },
  )

  test('comes byte by byte: 503 after a second, and the connection is given up', async () => {
    const { send, refused, handled, clock, close } = start(kind)
    const slow = dripping()
    provider.breakAt(path, slow.listener)
    const waiting = send()
      .expect(refused)
      .then(() => undefined)
    await slow.begun
    clock.advance(1_000)
    await waiting
    // Nobody waits longer; a fetch of keys may go on for five.
    clock.advance(4_000)
    await slow.left
    expect(handled()).toBe(0)

    provider.breakAt(path, undefined)
    clock.advance(1_000)
    await send().expect(200)
    await close()
  })
})
