import { createPrivateKey, createPublicKey, hash, KeyObject, sign, verify } from 'node:crypto'
import { ConfigError } from '../kernel/config-error.js'
import { quote } from './audit-text.js'
import { contentAfter, type ChainLine, type Link } from './audit-chain.js'

/** Why a checkpoint was written: a file was opened (`start`, `rotation`, `truncation`), enough happened, or the end came. */
export type CheckpointReason = 'start' | 'rotation' | 'truncation' | 'records' | 'time' | 'close' | 'exit'

/** An Ed25519 key as PEM or as Node's `KeyObject`. */
export type AuditKey = string | KeyObject

export interface Signer {
  readonly keyId: string
  sign(text: string): string
}

export interface Checker {
  readonly keyId: string
  verify(text: string, signature: string): boolean
}

/** What a checkpoint line says. */
export interface Checkpoint {
  readonly why: string
  readonly chain: string
  readonly time: string
  readonly key: string | undefined
  readonly signature: string | undefined
  /** At most so many lines follow without another checkpoint. */
  readonly every: number
  /** How the run before ended, if this one goes on with its trail: `closed` or `cut`. */
  readonly previous: string | undefined
  /** What the signature covers: the line up to it, and so its number and the hash of the line before. */
  readonly signed: string
}

const CHECKPOINT_DOMAIN = 'secure-api audit checkpoint 1\n'
const KIND = '"kind":"checkpoint",'
/** Behind the number and the hash of the line before. */
const KIND_WITHIN = 80
const SIGNATURE = /,"signature":"([\w-]{86})"$/
const CLOSING: readonly string[] = ['close', 'exit'] satisfies CheckpointReason[]

export const isClosing = (why: string): boolean => CLOSING.includes(why)

/** @throws ConfigError unless `key` is an Ed25519 private key; never says what it was given instead */
export function signer(key: unknown): Signer {
  const privateKey = ed25519('audit.file.key', key, 'private')
  return {
    keyId: idOf(createPublicKey(privateKey)),
    sign: (text) => sign(null, Buffer.from(CHECKPOINT_DOMAIN + text), privateKey).toString('base64url'),
  }
}

/** @throws ConfigError unless `key` is an Ed25519 public key */
export function checker(key: unknown): Checker {
  const publicKey = ed25519('verifyAudit.publicKey', key, 'public')
  return {
    keyId: idOf(publicKey),
    verify: (text, signature) =>
      verify(null, Buffer.from(CHECKPOINT_DOMAIN + text), publicKey, Buffer.from(signature, 'base64url')),
  }
}

export interface CheckpointFacts {
  readonly time: string
  readonly why: CheckpointReason
  readonly chain: string
  /** The promise that at most so many lines follow without another checkpoint. */
  readonly every: number
  /** Further members. */
  readonly more: Readonly<Record<string, string | number>>
}

/** The content of the checkpoint line that follows `link`. */
export function checkpointAfter(link: Link, facts: CheckpointFacts, by: Signer | undefined): string {
  const { time, why, chain, every, more } = facts
  const members = { time, why, chain, every, ...more, ...(by && { key: by.keyId }) }
  const json = Object.entries(members).map(
    ([name, value]) => `"${name}":${typeof value === 'number' ? value : quote(value)}`,
  )
  const content = contentAfter(link, KIND + json.join(','))
  return by === undefined ? content : `${content},"signature":"${by.sign(content)}"`
}

/** `undefined` for a line that is no checkpoint. */
export function parseCheckpoint({ content }: ChainLine): Checkpoint | undefined {
  if (content.lastIndexOf(KIND, KIND_WITHIN) < 0) return undefined
  try {
    const { why, chain, time, every, previous, key } = JSON.parse(`${content}}`) as Record<string, unknown>
    if (typeof why !== 'string' || typeof chain !== 'string' || typeof time !== 'string') return undefined
    const signature = SIGNATURE.exec(content)
    return {
      why,
      chain,
      time,
      every: typeof every === 'number' ? every : Infinity,
      previous: typeof previous === 'string' ? previous : undefined,
      key: typeof key === 'string' ? key : undefined,
      signature: signature?.[1],
      signed: signature === null ? content : content.slice(0, signature.index),
    }
  } catch {
    return undefined
  }
}

function idOf(publicKey: KeyObject): string {
  return hash('sha256', publicKey.export({ format: 'der', type: 'spki' }), 'base64url').slice(0, 16)
}

function ed25519(option: string, key: unknown, type: 'private' | 'public'): KeyObject {
  const found = attempt(() => {
    if (isKeyObject(key) && key.type === type) return key
    return type === 'private' ? createPrivateKey(key as string) : createPublicKey(key as string)
  })
  if (found?.asymmetricKeyType === 'ed25519') return found
  throw new ConfigError(`${option} must be an Ed25519 ${type} key, as PEM text or KeyObject`)
}

function isKeyObject(key: unknown): key is KeyObject {
  return key instanceof KeyObject
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}
