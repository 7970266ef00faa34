import { randomBytes } from 'node:crypto'
import { loadPeer } from '../kernel/peer.js'
import type { Principal } from '../kernel/context.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'
import { isProblem, type Problem } from '../kernel/problem.js'
import { decodeBase64url } from '../lib/base64url.js'
import { isObject } from '../lib/is-object.js'
import { parseStrictObject } from '../lib/strict-json.js'
import type { Outside } from './factor-handler.js'
import { invalidProof, notNow } from './factor-refusals.js'
import { AttestationGate } from './passkey-attestation.js'
import { PasskeyChallenges, type PasskeyPurpose } from './passkey-challenge.js'
import {
  CREDENTIALS,
  HANDLES,
  PASSKEYS,
  readPasskeys,
  USED,
  type PasskeyOwner,
  type PasskeyRecord,
  type StoredPasskey,
} from './passkey-record.js'
import type { WebauthnRules } from './webauthn-options.js'

/** COSE: EdDSA, ES256, RS256. The same list is offered and accepted. */
const ALGORITHMS = [-8, -7, -257]
/** Others write about one subject too, but not for long. */
const TRIES = 20
/** W3C WebAuthn section 7.1: 1,023 bytes, in base64url. */
const MAX_ID_LENGTH = 1_364
/** Four times what an RSA key of 4,096 bits has. */
const MAX_KEY_BYTES = 2_048
const KNOWN = 'passkey-known'

export interface ShownPasskey {
  readonly owner: PasskeyOwner
  readonly passkey: StoredPasskey
}

/** What of a passkey changes while it is used. */
type Shown = Pick<StoredPasskey, 'counter' | 'backedUp'>

type Json = Readonly<Record<string, unknown>>

/** What happens to passkeys, wherever it is asked from. */
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
    const found = await this.find(outside, id)
    if ((found?.record.passkeys.length ?? 0) >= maxPasskeys) return full()
    // Kept from now on, so that all passkeys of a subject have one handle, however many pages register at once.
    const handle = found?.record.handle ?? (await this.newHandle(outside, id))
    const options = await this.webauthn.generateRegistrationOptions({
      ...{ rpName, rpID: rpId, userName: account, userDisplayName: account, timeout: challengeMs },
      userID: new Uint8Array(Buffer.from(handle, 'base64url')),
      challenge: new Uint8Array(this.challenges.make('register', id, outside.now())),
      attestationType: attested === undefined ? 'none' : 'direct',
      excludeCredentials: credentialsOf(found?.record),
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
    // W3C WebAuthn section 7.1: the id of a credential is nobody else's.
    const { records } = outside
    const isNew = await records.replace(CREDENTIALS, passkey.id, undefined, id)
    if (!isNew && (await records.get(CREDENTIALS, passkey.id)) !== id) return known()
    const outcome = await this.change(outside, id, (record) => {
      if (record === undefined) return notNow('passkey-not-begun', 'No registration was begun; begin anew')
      if (record.passkeys.length >= this.rules.maxPasskeys) return full()
      if (record.passkeys.some((one) => one.id === passkey.id)) return known()
      return { ...record, owner: ownerOf(principal), passkeys: [...record.passkeys, passkey] }
    })
    // One that is known is there by another page of the same subject, which was faster.
    if (isProblem(outcome) && isNew && outcome.rule !== KNOWN) await records.delete(CREDENTIALS, passkey.id)
    return isProblem(outcome) ? outcome : passkey
  }

  /** @param subject who is known already; `undefined`: whoever has a passkey on the device, bound to one browser by `holder` */
  async authenticationOptions(
    outside: Outside,
    subject: string | undefined,
    holder: string,
  ): Promise<Json | Problem> {
    const found = subject === undefined ? undefined : await this.find(outside, subject)
    const allowed = credentialsOf(found?.record)
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
    const owner = subject ?? (await this.ownerOfHandle(outside, sent))
    const found = owner === undefined ? undefined : await this.find(outside, owner)
    const passkey = found?.record.passkeys.find(({ id }) => id === sent.id)
    if (owner === undefined || found === undefined || passkey === undefined)
      return invalidProof('passkey-unknown')
    if (!isHandleOf(found.record, sent, subject === undefined)) return invalidProof('passkey-unknown')
    let now: Shown
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
    return this.note(outside, owner, passkey.id, now)
  }

  async list(outside: Outside, subject: string): Promise<readonly StoredPasskey[]> {
    return (await this.find(outside, subject))?.record.passkeys ?? []
  }

  async remove(outside: Outside, subject: string, id: unknown): Promise<boolean> {
    const outcome = await this.change(outside, subject, (record) => {
      if (record?.passkeys.some((one) => one.id === id) !== true)
        return notNow('passkey-unknown', 'There is no such passkey')
      return { ...record, passkeys: record.passkeys.filter((one) => one.id !== id) }
    })
    if (isProblem(outcome)) return false
    await outside.records.delete(CREDENTIALS, String(id))
    return true
  }

  /** W3C WebAuthn section 6.1.1: one that does not go up was copied, or somebody used the copy. */
  private async note(
    outside: Outside,
    owner: string,
    id: string,
    now: Shown,
  ): Promise<ShownPasskey | Problem> {
    let shown: StoredPasskey | undefined
    const outcome = await this.change(outside, owner, (record) => {
      const known = record?.passkeys.find((one) => one.id === id)
      if (record === undefined || known === undefined) return invalidProof('passkey-unknown')
      if ((now.counter > 0 || known.counter > 0) && now.counter <= known.counter)
        return invalidProof('passkey-counter')
      const used = { ...known, ...now, lastUsedAt: Math.floor(outside.now() / 1000) }
      shown = used
      return { ...record, passkeys: record.passkeys.map((one) => (one.id === id ? used : one)) }
    })
    return isProblem(outcome) ? outcome : { owner: outcome.owner, passkey: shown! }
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

  private async ownerOfHandle({ records }: Outside, sent: Json): Promise<string | undefined> {
    const { userHandle } = (sent.response ?? {}) as Json
    if (typeof userHandle !== 'string' || !/^[\w-]{43}$/.test(userHandle)) return undefined
    return records.get(HANDLES, userHandle)
  }

  private async newHandle({ records }: Outside, subject: string): Promise<string> {
    const handle = randomBytes(32).toString('base64url')
    const owner: PasskeyOwner = { id: subject, subject }
    const record: PasskeyRecord = { v: 1, owner, handle, passkeys: [] }
    await records.put(HANDLES, handle, subject)
    if (await records.replace(PASSKEYS, subject, undefined, JSON.stringify(record))) return handle
    await records.delete(HANDLES, handle)
    const text = await records.get(PASSKEYS, subject)
    if (text === undefined) throw busy()
    return readPasskeys(text).handle
  }

  private async find(
    { records }: Outside,
    subject: string,
  ): Promise<{ readonly text: string; readonly record: PasskeyRecord } | undefined> {
    const text = await records.get(PASSKEYS, subject)
    return text === undefined ? undefined : { text, record: readPasskeys(text) }
  }

  /** Reads, changes and writes until nobody wrote in between. */
  private async change(
    outside: Outside,
    subject: string,
    changed: (record: PasskeyRecord | undefined) => PasskeyRecord | Problem,
  ): Promise<PasskeyRecord | Problem> {
    for (let i = 0; i < TRIES; i++) {
      const found = await this.find(outside, subject)
      const next = changed(found?.record)
      if (isProblem(next)) return next
      if (await outside.records.replace(PASSKEYS, subject, found?.text, JSON.stringify(next))) return next
    }
    throw busy()
  }
}

function credentialsOf(record: PasskeyRecord | undefined): { id: string; transports: string[] }[] {
  return (record?.passkeys ?? []).map(({ id, transports }) => ({ id, transports: [...transports] }))
}

/** Where the client says whose passkey it is, it must be right; a login has nothing else to go by. */
function isHandleOf({ handle }: PasskeyRecord, { response }: Json, required: boolean): boolean {
  const { userHandle } = response as Json
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

function known(): Problem {
  return notNow(KNOWN, 'This passkey is registered already')
}

function full(): Problem {
  return notNow('passkey-limit', 'There are as many passkeys as there may be; remove one first')
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'base64url'))
}

function busy(): StoreUnavailable {
  return new StoreUnavailable('The passkeys of the subject were changed by others all the time', 0, 1_000)
}
