import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

/** What a browser and its authenticator would send otherwise than usual. */
export interface Oddity {
  readonly origin?: string
  readonly rpId?: string
  readonly type?: string
  readonly challenge?: string
  readonly crossOrigin?: boolean
  readonly topOrigin?: string
  /** User present 1, user verified 4; 64 is added for a new credential. */
  readonly flags?: number
  readonly counter?: number
  readonly key?: KeyObject
  readonly userHandle?: string | null
  readonly id?: string
  /** What its key has besides. */
  readonly more?: Buffer
  /** What it says about itself. Default: nothing. */
  readonly attest?: (facts: AttestedFacts) => Attested
}

/** What a statement is made of. */
export interface AttestedFacts {
  readonly authData: Buffer
  readonly clientDataHash: Buffer
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export interface Attested {
  readonly fmt: string
  readonly attStmt: ReadonlyMap<string, unknown>
}

type Sent = Readonly<Record<string, unknown>> & { readonly id: string }

/** One passkey and the browser around it, in software: enough to say everything that a real one would never say. */
export class SoftPasskey {
  readonly id = randomBytes(16).toString('base64url')
  private readonly pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  private counter = 0
  private handle = ''

  constructor(
    private readonly rpId: string,
    private readonly origin: string,
  ) {}

  create(options: { challenge: string; user: { id: string } }, odd: Oddity = {}): Sent {
    this.handle = options.user.id
    const { x, y } = this.pair.publicKey.export({ format: 'jwk' })
    const key = new Map<number, number | Buffer>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, Buffer.from(x!, 'base64url')],
      [-3, Buffer.from(y!, 'base64url')],
      ...(odd.more === undefined ? [] : [[-70, odd.more] as const]),
    ])
    const id = Buffer.from(this.id, 'base64url')
    const length = Buffer.alloc(2)
    length.writeUInt16BE(id.length)
    const authData = Buffer.concat([
      this.authenticatorData(64 + (odd.flags ?? 5), odd),
      ...[Buffer.alloc(16), length, id, cbor(key)],
    ])
    const clientDataJSON = this.clientData('webauthn.create', options.challenge, odd)
    const clientDataHash = sha256(Buffer.from(clientDataJSON, 'base64url'))
    const { fmt, attStmt } = odd.attest?.({ authData, clientDataHash, ...this.pair }) ?? NO_STATEMENT
    const attestationObject = cbor(
      new Map<string, unknown>([
        ['fmt', fmt],
        ['attStmt', attStmt],
        ['authData', authData],
      ]),
    ).toString('base64url')
    return this.sent({ clientDataJSON, attestationObject, transports: ['internal', 5, '<script>'] }, odd)
  }

  get(options: { challenge: string }, odd: Oddity = {}): Sent {
    this.counter++
    const authenticatorData = this.authenticatorData(odd.flags ?? 5, odd)
    const clientDataJSON = this.clientData('webauthn.get', options.challenge, odd)
    const hash = sha256(Buffer.from(clientDataJSON, 'base64url'))
    const signature = sign(
      'sha256',
      Buffer.concat([authenticatorData, hash]),
      odd.key ?? this.pair.privateKey,
    )
    const { userHandle = this.handle } = odd
    return this.sent(
      {
        clientDataJSON,
        authenticatorData: authenticatorData.toString('base64url'),
        signature: signature.toString('base64url'),
        ...(userHandle !== null && { userHandle }),
      },
      odd,
    )
  }

  private sent(response: object, { id = this.id }: Oddity): Sent {
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response }
  }

  private clientData(usual: string, asked: string, odd: Oddity): string {
    const { type = usual, challenge = asked, origin = this.origin, crossOrigin = false, topOrigin } = odd
    return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin, topOrigin })).toString(
      'base64url',
    )
  }

  private authenticatorData(flags: number, { rpId = this.rpId, counter = this.counter }: Oddity): Buffer {
    const tail = Buffer.alloc(5)
    tail.writeUInt8(flags)
    tail.writeUInt32BE(counter, 1)
    return Buffer.concat([sha256(rpId), tail])
  }
}

const NO_STATEMENT: Attested = { fmt: 'none', attStmt: new Map() }

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest()
}

/** The little of RFC 8949 that authenticators need. */
function cbor(value: unknown): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (value instanceof Map)
    return Buffer.concat([head(5, value.size), ...[...value].flatMap((pair) => pair.map(cbor))])
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)])
  return Buffer.concat([head(2, (value as Buffer).length), value as Buffer])
}

function head(type: number, size: number): Buffer {
  if (size < 24) return Buffer.from([(type << 5) | size])
  return size < 256
    ? Buffer.from([(type << 5) | 24, size])
    : Buffer.from([(type << 5) | 25, size >> 8, size & 255])
}
