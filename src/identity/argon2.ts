import crypto from 'node:crypto'
import { once } from '../lib/once.js'
import { loadPeer } from '../kernel/peer.js'
import type { Argon2Cost } from './password-hash.js'

export type Argon2 = (password: Buffer, salt: Buffer, cost: Argon2Cost, bytes: number) => Promise<Buffer>

interface NodeOptions {
  readonly message: Buffer
  readonly nonce: Buffer
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
  readonly tagLength: number
}

type NodeArgon2 = (
  algorithm: 'argon2id',
  options: NodeOptions,
  done: (error: Error | null, tag: Buffer) => void,
) => void

/**
 * Argon2id: Node's own where it has one, from 24.7 on, or the package `@node-rs/argon2`.
 *
 * @throws ConfigError where there is neither
 */
export const argon2: () => Argon2 = once(() => ofNode() ?? ofPackage())

function ofNode(): Argon2 | undefined {
  const { argon2: own } = crypto as { argon2?: NodeArgon2 }
  if (own === undefined) return undefined
  return (message, nonce, { m: memory, t: passes, p: parallelism }, tagLength) =>
    new Promise((resolve, reject) => {
      own('argon2id', { message, nonce, memory, passes, parallelism, tagLength }, (error, tag) => {
        if (error === null) resolve(tag)
        else reject(error)
      })
    })
}

function ofPackage(): Argon2 {
  const { hashRaw } = loadPeer('@node-rs/argon2', 'argon2id') as { hashRaw: HashRaw }
  return (password, salt, { m: memoryCost, t: timeCost, p: parallelism }, outputLen) =>
    hashRaw(password, { algorithm: ARGON2ID, salt, memoryCost, timeCost, parallelism, outputLen })
}

/** `Algorithm.Argon2id` of the package, which is there for the compiler alone. */
const ARGON2ID = 2

type HashRaw = (
  password: Buffer,
  options: Readonly<
    Record<'algorithm' | 'memoryCost' | 'timeCost' | 'parallelism' | 'outputLen', number> & { salt: Buffer }
  >,
) => Promise<Buffer>
