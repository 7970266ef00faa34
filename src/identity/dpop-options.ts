import type { KeyObject } from 'node:crypto'
import { integer, knownKeys, oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Store } from '../kernel/ports.js'
import { importSecret, type Secret } from '../kernel/secret.js'
import { checkStore } from '../kernel/store-ports.js'
import { asymmetricAlgorithms, type SigningAlgorithm } from './algorithms.js'
import { normalPath } from './dpop-url.js'
import { endpointUrl, type EndpointRules } from './endpoint.js'

/**
 * Whether access tokens come with a proof that the client has the key they are bound to (RFC 9449). `'required'`: others are 401
 * `invalid-token`. `'allowed'`: those that are bound do, others are bearer tokens. `'off'`: bound ones are refused.
 */
export type DpopMode = 'required' | 'allowed' | 'off'

export interface DpopOptions {
  /** Default `'allowed'`. `'required'` refuses tokens that are not bound: 401 `invalid-token`. */
  mode?: DpopMode
  /**
   * The URLs under which clients reach this API: an origin, and what a proxy takes off the front of paths. What a proof is for (`htu`)
   * is compared with these, and never with `Host` or `X-Forwarded-Host`, which whoever replays a proof can choose. Default: the origin
   * of `resource`; one of the two is required. Another URL: 401 `invalid-dpop-proof`.
   */
  baseUrls?: string | readonly string[]
  /** Accepted algorithms of proofs. Default `ES256`, `ES384`, `PS256`, `EdDSA`, `Ed25519`. Others: 401 `invalid-dpop-proof`. */
  algorithms?: readonly SigningAlgorithm[]
  /** Longest accepted age of a proof, in seconds, past or future. Default 60, at most 300. Older: 401 `invalid-dpop-proof` (RFC 9449 section 11.1). */
  maxAgeSeconds?: number
  /**
   * Asks for a nonce of the server in each proof, so that none can be made in advance (RFC 9449 section 9). Default: none. Without a
   * good one: 401 `use-dpop-nonce`, with the nonce to use in `DPoP-Nonce`.
   */
  nonce?: DpopNonceOptions
  /**
   * Where it is kept which proofs were used, by all processes. Default: the `store` of the API, or a memory that each API of each
   * process has for itself, so that APIs which serve the same URL need a store. A proof that was used: 401 `invalid-dpop-proof`. The store is away: 503 `store-unavailable`.
   */
  store?: Store
}

export interface DpopNonceOptions {
  /** What nonces are made with, the same in all processes: at least 32 bytes. Of several the first makes them, all are known. Required. */
  secret?: Secret | readonly Secret[]
  /** How long a nonce is good, in seconds; at most twice as long. Default 300. */
  lifetimeSeconds?: number
}

/** The same, checked. */
export interface DpopRules {
  readonly mode: 'required' | 'allowed'
  readonly bases: readonly string[]
  readonly algorithms: readonly SigningAlgorithm[]
  readonly maxAgeSeconds: number
  readonly nonce: { readonly keys: readonly KeyObject[]; readonly lifetimeSeconds: number } | undefined
  readonly store: Store | undefined
}

const MODES = ['required', 'allowed', 'off'] as const
const KNOWN = ['mode', 'baseUrls', 'algorithms', 'maxAgeSeconds', 'nonce', 'store']
const USUAL: readonly SigningAlgorithm[] = ['ES256', 'ES384', 'PS256', 'EdDSA', 'Ed25519']

/** What both say, at least as strict as each; `undefined` if nothing could satisfy both. */
export function stricterMode(one: DpopMode, other: DpopMode): DpopMode | undefined {
  if (one === other || other === 'allowed') return one
  return one === 'allowed' ? other : undefined
}

/** @throws ConfigError unless `mode` is one */
export function dpopMode(option: string, mode: unknown): DpopMode {
  return oneOf(option, mode, MODES)
}

/** The mode of a setting. @throws ConfigError for what is none, and for options that are not known */
export function modeOf(option: string, setting: DpopMode | DpopOptions | undefined): DpopMode {
  if (setting === undefined) return 'off'
  if (typeof setting === 'string') return dpopMode(option, setting)
  knownKeys(option, setting, KNOWN, KNOWN)
  return dpopMode(`${option}.mode`, setting.mode === undefined ? 'allowed' : setting.mode)
}

/** What an API accepts whose issuers say this: no scheme is refused that one of them wants. */
function modeOfAll(modes: readonly DpopMode[]): DpopMode {
  const [first = 'off'] = modes
  return modes.every((mode) => mode === first) ? first : 'allowed'
}

/**
 * `undefined` if it is off.
 *
 * @param modes those of the issuers. Default: that of the setting
 * @throws ConfigError for every option that leaves open what a proof is for
 */
export function prepareDpop(
  option: string,
  setting: DpopMode | DpopOptions | undefined,
  { resource, ...rules }: EndpointRules & { resource: string | undefined },
  modes: readonly DpopMode[] = [modeOf(option, setting)],
): DpopRules | undefined {
  const mode = modeOfAll(modes)
  if (mode === 'off') return undefined
  const options: DpopOptions = typeof setting === 'object' ? setting : {}
  const origin = resource === undefined ? undefined : new URL(resource).origin
  const { baseUrls = origin, algorithms = USUAL, maxAgeSeconds = 60, store, nonce } = options
  return {
    mode,
    bases: checkBases(option, baseUrls, rules),
    algorithms: checkAlgorithms(`${option}.algorithms`, algorithms),
    maxAgeSeconds: integer(`${option}.maxAgeSeconds`, maxAgeSeconds, { max: 300 }),
    nonce: nonce === undefined ? undefined : checkNonce(`${option}.nonce`, nonce),
    store: store === undefined ? undefined : checkStore(`${option}.store`, store, 'once'),
  }
}

function checkBases(option: string, given: unknown, rules: EndpointRules): readonly string[] {
  const list: unknown[] = Array.isArray(given) ? given : given === undefined ? [] : [given]
  if (list.length === 0) {
    throw new ConfigError(
      `${option} needs to know under which URL clients reach this API, because a proof is for one URL; write ` +
        "`resource: 'https://api.example.com'` beside it, or `baseUrls`",
    )
  }
  return list.map((one) => {
    const url = endpointUrl(`${option}.baseUrls`, one, rules)
    if (url.includes('?')) throw new ConfigError(`${option}.baseUrls must not have a query`)
    const { origin, pathname } = new URL(url)
    return origin + normalPath(pathname).replace(/\/$/, '')
  })
}

function checkAlgorithms(option: string, given: unknown): readonly SigningAlgorithm[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new ConfigError(`${option} must list at least one algorithm, got ${show(given)}`)
  }
  // RFC 9449 section 4.3: a proof is signed with a private key, which only the client has.
  return given.map((one) => oneOf(option, one, asymmetricAlgorithms))
}

function checkNonce(option: string, options: DpopNonceOptions): DpopRules['nonce'] {
  knownKeys(option, options, ['secret', 'lifetimeSeconds'])
  const { secret, lifetimeSeconds = 300 } = options
  const secrets: readonly unknown[] = Array.isArray(secret) ? secret : [secret]
  if (secrets.length === 0) throw new ConfigError(`${option}.secret must not be empty`)
  return {
    keys: secrets.map((one) => importSecret(`${option}.secret`, one)),
    lifetimeSeconds: integer(`${option}.lifetimeSeconds`, lifetimeSeconds, { min: 10, max: 86_400 }),
  }
}
