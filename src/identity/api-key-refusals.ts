import { refuse, type Problem } from '../kernel/problem.js'
import { challenge } from '../lib/challenge.js'
import { retryAfter } from '../lib/retry-after.js'
import type { Place } from './api-key-options.js'
import { because, unauthenticated } from './auth-refusals.js'
import { realmText } from './realm.js'

/**
 * Why a key is refused: the rule in the audit log, and its reason. To the client they are all one: who holds a key that
 * is over, or stole one that is bound to other addresses, learns no more than who guesses.
 */
const faults = {
  'api-key-unknown': 'There is no such key',
  'api-key-secret': 'The secret is not that of the key',
  'api-key-expired': 'The key expired',
  'api-key-revoked': 'The key was revoked',
  'api-key-superseded': 'The secret was replaced, and its grace is over',
  'api-key-address': 'The key may not be used from this address',
} as const

export type KeyFault = keyof typeof faults

/** Every way in which a key is refused, written once at start. */
export interface ApiKeyRefusals {
  /** The challenge without an error. */
  readonly offered: string
  readonly nothing: () => Problem
  readonly twice: () => Problem
  readonly malformed: () => Problem
  readonly because: (fault: KeyFault) => Problem
}

/** @throws ConfigError for a realm that cannot be quoted */
export function apiKeyRefusals(place: Place, realm: unknown): ApiKeyRefusals {
  const text = realmText('apiKey.realm', realm)
  const offered =
    'scheme' in place
      ? challenge(place.scheme, { realm: text })
      : challenge('ApiKey', { realm: text, header: place.shown })
  const invalid = because(offered, 'invalid_key', 'The API key is not valid')
  const malformed = because(
    offered,
    'invalid_key',
    'The API key is malformed; it may not have been copied as a whole',
  )
  const twice = because(offered, 'invalid_request', 'More than one API key was sent')

  return {
    offered,
    nothing: () => unauthenticated(offered),
    twice: () => refuse('invalid-request', { ...twice, rule: 'api-key-twice' }),
    malformed: () => refuse('invalid-api-key', { ...malformed, rule: 'api-key-malformed' }),
    because: (fault) => refuse('invalid-api-key', { ...invalid, rule: fault, reason: faults[fault] }),
  }
}

/** 429: this key has made as many requests as it may. */
export function keyExhausted(retryMs: number): Problem {
  return refuse('quota-exceeded', {
    rule: 'api-key-limit',
    reason: 'The limit of this key is exceeded',
    headers: { 'Retry-After': retryAfter(retryMs) },
  })
}
