import { SettingsService } from '@simplewebauthn/server'
import { randomBytes, sign, X509Certificate } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { webauthn, type Attestation, type WebauthnOptions } from '../../src/identity/webauthn.js'
import { contextOf } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import { fakeClock, serve } from '../../src/testing/index.js'
import { as, caller } from '../support/as.js'
import { SoftPasskey, type AttestedFacts, type Oddity } from '../support/authenticator.js'
import { authority, type Authority, type Issued } from '../support/certificates.js'

const ORIGIN = 'https://app.example.com'
const ann = { ...caller(), id: 'https://id.example ann' }

/** A server of ours that nobody outside should reach, and what it was asked. */
const asked: string[] = []
const internal = createServer((req, res) => {
  asked.push(`${req.method} ${req.url}`)
  res.end()
})
let list: string

beforeAll(async () => {
  await new Promise<void>((listening) => internal.listen(0, '127.0.0.1', listening))
  list = `http://127.0.0.1:${(internal.address() as AddressInfo).port}/latest/meta-data`
})
afterAll(() => internal.close())
beforeEach(() => (asked.length = 0))

/** Registers a passkey that says this about itself. */
async function register(attest: Oddity['attest'] & {}, options: Partial<WebauthnOptions> = {}) {
  const clock = fakeClock()
  const sound = { key: randomBytes(32), rpId: 'example.com', rpName: 'Acme', origins: [ORIGIN] }
  const { handlers } = webauthn({ ...sound, store: memory({ clock }), clock, ...options })
  let rule: string | undefined
  const { post, server } = serve(as(ann), {
    clock,
    handler: (req, res, next) => {
      const ctx = contextOf(req)!
      res.on('close', () => (rule = ctx.problem?.rule))
      return (req.url === '/options' ? handlers.registrationOptions : handlers.register)(req, res, next)
    },
  })
  const { body } = await post('/options').send({}).expect(200)
  const credential = new SoftPasskey('example.com', ORIGIN).create(body as never, { attest })
  const { status } = await post('/register').send({ credential })
  server.close()
  return { status, rule }
}

const alg = -7
const raw = ({ cert }: Issued) => new X509Certificate(cert).raw
const signed = ({ authData, clientDataHash, privateKey }: AttestedFacts) =>
  sign('sha256', Buffer.concat([authData, clientDataHash]), privateKey)

/** As an Android phone would say it: a certificate of the key with the challenge in it, and all above up to the root. */
const android =
  (by: Authority, above: readonly Issued[], crl = true) =>
  (facts: AttestedFacts) => {
    const challenge = facts.clientDataHash.toString('hex')
    const leaf = by.issue('/CN=Android Keystore Key', {
      publicKey: facts.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      extensions: [
        ...(crl ? [`crlDistributionPoints=URI:${list}`] : []),
        '1.3.6.1.4.1.11129.2.1.17=ASN1:SEQUENCE:described',
        ...['[described]', 'a=INTEGER:3', 'b=ENUMERATED:1', 'c=INTEGER:4', 'd=ENUMERATED:1'],
        ...[`e=FORMAT:HEX,OCTETSTRING:${challenge}`, 'f=FORMAT:ASCII,OCTETSTRING:u'],
        ...['g=SEQUENCE:empty', 'h=SEQUENCE:empty', '[empty]'],
      ],
    })
    const x5c = [leaf, ...above].map(raw)
    return {
      fmt: 'android-key',
      attStmt: new Map<string, unknown>([
        ['alg', alg],
        ['sig', signed(facts)],
        ['x5c', x5c],
      ]),
    }
  }

const own = authority('/CN=root of a stranger')
const google = authority('/CN=root that is known')
const known = SettingsService.getRootCertificates({ identifier: 'android-key' })
const yes = () => true

/** Calls with a root of ours among those that the package knows. */
async function withRoot<T>(root: Issued, call: () => Promise<T>): Promise<T> {
  SettingsService.setRootCertificates({ identifier: 'android-key', certificates: [root.cert, ...known] })
  try {
    return await call()
  } finally {
    SettingsService.setRootCertificates({ identifier: 'android-key', certificates: known })
  }
}

test.each<[string, Partial<WebauthnOptions>]>([
  ['was not asked for', {}],
  ['was asked for', { attested: yes }],
])('a statement that %s makes this server ask nobody', async (_what, options) => {
  const refused = { status: 403, rule: 'passkey-attestation' }
  expect(await register(android(own, [own]), options)).toEqual(refused)
  // Under a root that is known, a key of a phone has no say about other keys.
  const phone = google.issue('/CN=phone')
  const forged = android(authority('', phone), [phone, google])
  expect(await withRoot(google, () => register(forged, options))).toEqual(refused)
  expect(asked).toEqual([])
})

test('a statement of a phone is verified up to the root, where it was asked for', async () => {
  const said: Attestation[] = []
  const attested = (one: Attestation) => said.push(one) > 0
  const statement = android(google, [google], false)
  expect(await withRoot(google, () => register(statement, { attested }))).toMatchObject({ status: 200 })
  expect(said).toMatchObject([{ format: 'android-key' }])
  expect(await withRoot(google, () => register(statement))).toMatchObject({ rule: 'passkey-attestation' })
})

const packed = (x5c?: unknown) => (facts: AttestedFacts) => ({
  fmt: 'packed',
  attStmt: new Map<string, unknown>([
    ['alg', alg],
    ['sig', signed(facts)],
    ...(x5c === undefined ? [] : [['x5c', x5c] as const]),
  ]),
})

test('what a passkey says about itself is taken, asked for or not, if it is true', async () => {
  for (const options of [{}, { attested: yes }]) {
    expect(await register(packed(), options)).toMatchObject({ status: 200 })
    const false_ = (facts: AttestedFacts) => packed()({ ...facts, clientDataHash: randomBytes(32) })
    expect(await register(false_, options)).toMatchObject({ status: 403, rule: 'passkey-invalid' })
  }
})

const stranger = google.issue('/CN=x')

test.each<[string, Oddity['attest'] & {}]>([
  ['of a service that is gone', () => ({ fmt: 'android-safetynet', attStmt: new Map() })],
  ['of a format that nobody knows', () => ({ fmt: 'x', attStmt: new Map() })],
  ['with an empty chain', packed([])],
  ['with a chain that is none', packed(Buffer.from('x'))],
  ['with certificates that are texts', packed([stranger.cert])],
  ['with certificates that are none', packed([Buffer.from('x')])],
  ['with something behind a certificate', packed([Buffer.concat([raw(stranger), Buffer.from('x')])])],
  ['with a chain without end', packed(Array.from({ length: 11 }, () => raw(google)))],
])('a statement %s is not looked at', async (_what, attest) => {
  expect(await register(attest, { attested: yes })).toEqual({ status: 403, rule: 'passkey-attestation' })
})
