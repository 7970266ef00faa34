import type { Algorithm } from 'jsonwebtoken'
import { onDemand } from '../lib/on-demand.js'
import { isThenable, when } from '../lib/when.js'
import { signingAlgorithms } from './algorithms.js'
import type { VerificationKey } from './key-set.js'
import type { ReadToken } from './token.js'

/** What was signed, with its signature, and by which algorithm. */
type SignedText = Pick<ReadToken, 'text' | 'algorithm'>

/** The time as the engine shall see it, in seconds. */
export interface EngineClock {
  readonly nowSeconds: number
  readonly toleranceSeconds: number
}

/** Loaded with the first token, or by `ready()`, because it brings two dozen files. */
export const jsonwebtoken = onDemand(async () => (await import('jsonwebtoken')).default)

/** The same for the tokens that only it can verify, and for DPoP proofs. */
export const jose = onDemand(async () => await import('jose'))

/** Whether one of `keys` signed the token. Answers at once if the engine is loaded, except for algorithms that only `jose` knows. */
export function isSignedBy(
  keys: readonly VerificationKey[],
  token: SignedText,
  clock: EngineClock,
  from = 0,
): boolean | Promise<boolean> {
  const candidate = keys[from]
  if (candidate === undefined) return false
  const good = verify(token, candidate, clock)
  if (isThenable(good)) return good.then((late) => late || isSignedBy(keys, token, clock, from + 1))
  return good || isSignedBy(keys, token, clock, from + 1)
}

function verify(token: SignedText, key: VerificationKey, clock: EngineClock): boolean | Promise<boolean> {
  // A set only offers keys that fit; asked again here, because everything hangs on it.
  if (!key.algorithms.includes(token.algorithm)) return false
  return signingAlgorithms[token.algorithm].engine === 'jose'
    ? verifyWithJose(token, key)
    : when(jsonwebtoken(), (engine) => verifyWithJsonwebtoken(engine, token, key, clock))
}

function verifyWithJsonwebtoken(
  jwt: Pick<typeof import('jsonwebtoken'), 'verify'>,
  { text, algorithm }: SignedText,
  { key }: VerificationKey,
  { nowSeconds, toleranceSeconds }: EngineClock,
): boolean {
  const { stackTraceLimit } = Error
  try {
    // What a bad signature throws is thrown away here: a stack for it would cost as much as checking the signature.
    limitStacks(0)
    jwt.verify(text, key, {
      algorithms: [algorithm as Algorithm],
      clockTimestamp: nowSeconds,
      clockTolerance: toleranceSeconds,
    })
    return true
  } catch {
    return false
  } finally {
    limitStacks(stackTraceLimit)
  }
}

/** Changes nothing, and throws nothing, where `Error` is frozen (`node --frozen-intrinsics`). */
function limitStacks(most: number): void {
  Reflect.set(Error, 'stackTraceLimit', most)
}

async function verifyWithJose({ text, algorithm }: SignedText, { key }: VerificationKey): Promise<boolean> {
  const { compactVerify } = await jose()
  try {
    await compactVerify(text, key, { algorithms: [algorithm] })
    return true
  } catch {
    return false
  }
}
