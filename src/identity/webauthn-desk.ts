import { loadPeer } from '../kernel/peer.js'
import type { Principal } from '../kernel/context.js'
import type { Problem } from '../kernel/problem.js'
import { decodeBase64url } from '../lib/base64url.js'
import { isObject } from '../lib/is-object.js'
import { parseStrictObject } from '../lib/strict-json.js'
import type { Outside } from './factor-handler.js'
import { invalidProof } from './factor-refusals.js'
import { AttestationGate } from './passkey-attestation.js'
import { PasskeyChallenges, type PasskeyPurpose } from './passkey-challenge.js'
import { USED, type PasskeyOwner, type PasskeyRecord, type StoredPasskey } from './passkey-record.js'
import { full, PasskeyShelf, type ShownPasskey } from './passkey-shelf.js'
import type { WebauthnRules } from './webauthn-options.js'

/** COSE: EdDSA, ES256, RS256. The same list is offered and accepted. */
const ALGORITHMS = [-8, -7, -257]
/** W3C WebAuthn section 7.1: 1,023 bytes, in base64url. */
const MAX_ID_LENGTH = 1_364
/** Four times what an RSA key of 4,096 bits has. */
const MAX_KEY_BYTES = 2_048
type Json = Readonly<Record<string, unknown>>

/** The ceremonies of WebAuthn, wherever they are asked for: what is offered to browsers, and what is believed of their answers. */
export class WebauthnDesk {
  private readonly webauthn = loadPeer(
    '@simplewebauthn/server',
    'webauthn()',
  ) as typeof import('@simplewebauthn/server')
  private readonly challenges: PasskeyChallenges
  private readonly gate: AttestationGate

  /** @throws ConfigError where the package is missing */
  constructor(readonly rules: WebauthnRules) {
    this.challenges = new PasskeyChallenges(rules.keys, rules.challengeMs)
    this.gate = new AttestationGate(this.webauthn, rules.attested !== undefined)
  }

  async registrationOptions(outside: Outside, { id }: Principal, account: string): Promise<Json | Problem> {
    const { rpId, rpName, challengeMs, attested, maxPasskeys } = this.rules
    const shelf = new PasskeyShelf(outside.records)
    const record = await shelf.of(id)
    if ((record?.passkeys.length ?? 0) >= maxPasskeys) return full()
    // Kept from now on, so that all passkeys of a subject have one handle, however many pages register at once.
    const handle = record?.handle ?? (await shelf.newHandle(id))
    const options = await this.webauthn.generateRegistrationOptions({
      ...{ rpName, rpID: rpId, userName: account, userDisplayName: account, timeout: challengeMs },
      userID: new Uint8Array(Buffer.from(handle, 'base64url')),
      challenge: new Uint8Array(this.challenges.make('register', id, outside.now())),
      attestationType: attested === undefined ? 'none' : 'direct',
      excludeCredentials: credentialsOf(record),
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      supportedAlgorithmIDs: ALGORITHMS,
    })
    return options as unknown as Json
  }

  async register(
    outside: Outside,
    principal: Principal,
    sent: Json,
    name: string | undefined,
  ): Promise<StoredPasskey | Problem> {
    const { id } = principal
    const challenge = this.challengeIn(sent, 'register', id, outside.now())
    if (challenge === undefined) return invalidProof('passkey-challenge')
    const response = sent.response as Json
    let registered
    try {
      if (!this.gate.admits(response.attestationObject)) return invalidProof('passkey-attestation')
      registered = await this.webauthn.verifyRegistrationResponse({
        response: sent as never,
        expectedChallenge: challenge.text,
        expectedOrigin: [...this.rules.origins],
        expectedRPID: this.rules.rpId,
        requireUserVerification: true,
        supportedAlgorithmIDs: ALGORITHMS,
      })
    } catch (cause) {
      return { ...invalidProof('passkey-invalid'), cause }
    }
    if (!registered.verified) return invalidProof('passkey-invalid')
    const { credential, aaguid, fmt, credentialDeviceType, credentialBackedUp, attestationObject } =
      registered.registrationInfo
    if (credential.id.length > MAX_ID_LENGTH || credential.publicKey.length > MAX_KEY_BYTES)
      return invalidProof('passkey-invalid')
    const { attested } = this.rules
    const about = { deviceType: credentialDeviceType, backedUp: credentialBackedUp, aaguid }
    if (attested !== undefined) {
      const attestation = { ...about, format: fmt, attestationObject, sent: sent.attestation }
      // Whatever is not plainly a yes is none.
      const verdict: unknown = await attested(attestation, principal)
      if (verdict !== true) return invalidProof('passkey-attestation')
    }
    if (!(await this.use(outside, challenge))) return invalidProof('passkey-replayed')
    const passkey: StoredPasskey = {
      ...about,
      id: credential.id,
      ...(name !== undefined && { name }),
      publicKey: Buffer.from(credential.publicKey).toString('base64url'),
      counter: credential.counter,
      transports: transportsOf(response.transports),
      createdAt: Math.floor(outside.now() / 1000),
    }
    const problem = await new PasskeyShelf(outside.records).add(
      ownerOf(principal),
      passkey,
      this.rules.maxPasskeys,
    )
    return problem ?? passkey
  }

  /** @param subject who is known already; `undefined`: whoever has a passkey on the device, bound to one browser by `holder` */
  async authenticationOptions(
    outside: Outside,
    subject: string | undefined,
    holder: string,
  ): Promise<Json | Problem> {
    const shelf = new PasskeyShelf(outside.records)
    const allowed = credentialsOf(subject === undefined ? undefined : await shelf.of(subject))
    if (subject !== undefined && allowed.length === 0) return invalidProof('passkey-unknown')
    const { rpId, challengeMs } = this.rules
    const purpose = subject === undefined ? 'login' : 'authenticate'
    const options = await this.webauthn.generateAuthenticationOptions({
      rpID: rpId,
      challenge: new Uint8Array(this.challenges.make(purpose, holder, outside.now())),
      // For a login it names nobody: who has passkeys here is not to be found out.
      allowCredentials: allowed,
      userVerification: 'required',
      timeout: challengeMs,
    })
    return options as unknown as Json
  }

  async authenticate(
    outside: Outside,
    subject: string | undefined,
    holder: string,
    sent: Json,
  ): Promise<ShownPasskey | Problem> {
    const purpose = subject === undefined ? 'login' : 'authenticate'
    const challenge = this.challengeIn(sent, purpose, holder, outside.now())
    if (challenge === undefined) return invalidProof('passkey-challenge')
    const shelf = new PasskeyShelf(outside.records)
    const { userHandle } = sent.response as Json
    const owner = subject ?? (await shelf.ownerOfHandle(userHandle))
    const record = owner === undefined ? undefined : await shelf.of(owner)
    const passkey = record?.passkeys.find(({ id }) => id === sent.id)
    if (owner === undefined || record === undefined || passkey === undefined)
      return invalidProof('passkey-unknown')
    if (!isHandleOf(record, userHandle, subject === undefined)) return invalidProof('passkey-unknown')
    let now: { readonly counter: number; readonly backedUp: boolean }
    try {
      const { verified, authenticationInfo } = await this.webauthn.verifyAuthenticationResponse({
        response: sent as never,
        expectedChallenge: challenge.text,
        expectedOrigin: [...this.rules.origins],
        expectedRPID: this.rules.rpId,
        requireUserVerification: true,
        // Compared below, behind the signature: what nobody signed says nothing about copies.
        credential: { id: passkey.id, publicKey: bytesOf(passkey.publicKey), counter: 0 },
      })
      const { userVerified, credentialDeviceType, credentialBackedUp, newCounter } = authenticationInfo
      // W3C WebAuthn section 7.2: whether it may be backed up never changes, whether it is does.
      if (!verified || !userVerified || credentialDeviceType !== passkey.deviceType)
        return invalidProof('passkey-invalid')
      now = { counter: newCounter, backedUp: credentialBackedUp }
    } catch (cause) {
      return { ...invalidProof('passkey-invalid'), cause }
    }
    if (!(await this.use(outside, challenge))) return invalidProof('passkey-replayed')
    return shelf.note(owner, passkey.id, { ...now, lastUsedAt: Math.floor(outside.now() / 1000) })
  }

  async list({ records }: Outside, subject: string): Promise<readonly StoredPasskey[]> {
    return (await new PasskeyShelf(records).of(subject))?.passkeys ?? []
  }

  async remove({ records }: Outside, subject: string, id: unknown): Promise<boolean> {
    return new PasskeyShelf(records).remove(subject, id)
  }

  private challengeIn(
    sent: Json,
    purpose: PasskeyPurpose,
    holder: string,
    now: number,
  ): { readonly text: string; readonly leftMs: number } | undefined {
    const { clientDataJSON } = isObject(sent.response) ? sent.response : {}
    if (typeof clientDataJSON !== 'string' || clientDataJSON.length > 4_096) return undefined
    // One spelling, so that the package reads the same.
    const bytes = decodeBase64url(clientDataJSON)
    const data = bytes && parseStrictObject(bytes)
    // A page of somebody else may not show ours in a frame and have it sign.
    if (data === undefined || (data.crossOrigin ?? false) !== false || data.topOrigin !== undefined)
      return undefined
    const leftMs = this.challenges.leftOf(data.challenge, purpose, holder, now)
    return leftMs === undefined ? undefined : { text: data.challenge as string, leftMs }
  }

  /** Of those who show one answer at once, one succeeds. */
  private async use({ once }: Outside, { text, leftMs }: { text: string; leftMs: number }): Promise<boolean> {
    return once.claim(USED, text, leftMs)
  }
}

function credentialsOf(record: PasskeyRecord | undefined): { id: string; transports: string[] }[] {
  return (record?.passkeys ?? []).map(({ id, transports }) => ({ id, transports: [...transports] }))
}

/** Where the client says whose passkey it is, it must be right; a login has nothing else to go by. */
function isHandleOf({ handle }: PasskeyRecord, userHandle: unknown, required: boolean): boolean {
  return userHandle === undefined || userHandle === null ? !required : userHandle === handle
}

function transportsOf(given: unknown): string[] {
  if (!Array.isArray(given)) return []
  return given
    .filter((one): one is string => typeof one === 'string' && /^[a-z-]{1,20}$/.test(one))
    .slice(0, 8)
}

function ownerOf({ id, subject, issuer }: Principal): PasskeyOwner {
  return { id, subject, ...(issuer !== undefined && { issuer }) }
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'base64url'))
}
