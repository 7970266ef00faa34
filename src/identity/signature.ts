import type { KeyObject } from 'node:crypto'
import { onDemand } from '../lib/on-demand.js'
import { isThenable, when } from '../lib/when.js'
import { signingAlgorithms, type SigningAlgorithm } from './algorithms.js'
import type { VerificationKey } from './key-set.js'
import type { ReadToken } from './token.js'

/** What was signed, with its signature, and by which algorithm. */
type SignedText = Pick<ReadToken, 'text' | 'algorithm'>

/** What is asked of `jws`, whose types do not know the keys of Node. */
interface Jws {
  verify(text: string, algorithm: SigningAlgorithm, key: KeyObject): boolean
}

/** Loaded with the first token, or by `ready()`: not every process sees one. */
export const jws = onDemand(async () => (await import('jws')).default as unknown as Jws)

/** The same for the tokens that only it can verify, and for DPoP proofs. */
export const jose = onDemand(async () => await import('jose'))

/** The same for whoever signs tokens. It brings two dozen files. */
export const jsonwebtoken = onDemand(async () => (await import('jsonwebtoken')).default)

/** Whether one of `keys` signed the token. Answers at once if the engine is loaded, except for algorithms that only `jose` knows. */
export function isSignedBy(
  keys: readonly VerificationKey[],
  token: SignedText,
  from = 0,
): boolean | Promise<boolean> {
  const candidate = keys[from]
  if (candidate === undefined) return false
  const good = verify(token, candidate)
  if (isThenable(good)) return good.then((late) => late || isSignedBy(keys, token, from + 1))
  return good || isSignedBy(keys, token, from + 1)
}

function verify(token: SignedText, key: VerificationKey): boolean | Promise<boolean> {
  // A set only offers keys that fit; asked again here, because everything hangs on it.
  if (!key.algorithms.includes(token.algorithm)) return false
  return signingAlgorithms[token.algorithm].engine === 'jose'
    ? verifyWithJose(token, key)
    : when(jws(), (engine) => verifyWithJws(engine, token, key))
}

function verifyWithJws(engine: Jws, { text, algorithm }: SignedText, { key }: VerificationKey): boolean {
  try {
    return engine.verify(text, algorithm, key)
  } catch {
    // A signature of another length than its curve makes.
    return false
  }
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
