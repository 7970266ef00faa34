import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { BearerOptions } from './bearer-options.js'
import type { DpopMode } from './dpop-options.js'
import { prepareTerms, PROTECTING, TERMS, type IssuerTerms, type IssuerTermsOptions } from './issuer-terms.js'
import { checkAudience } from './issuer-names.js'
import {
  checkAlgorithmNames,
  prepareIssuer,
  type Issuer,
  type IssuerOptions,
  type SharedRules,
} from './issuers.js'
import { mediaType } from './token.js'

/** One issuer of JWTs: how its tokens are verified, and what has to be true of them. */
export interface BearerIssuer extends Issuer {
  /** Accepted media types of `typ`; `undefined` among them: it may be missing. */
  readonly types: ReadonlySet<string | undefined>
  readonly terms: IssuerTerms
}

const KNOWN = ['issuer', 'audience', 'jwksUri', 'keys', 'secret', 'algorithms', 'typ', ...TERMS]

/**
 * The issuers of one `bearer`, by name.
 *
 * @param dpop the mode that stands beside the list
 * @throws ConfigError for whatever leaves open whose tokens are accepted, or lets one issuer speak for another
 */
export function prepareBearerIssuers(
  options: BearerOptions,
  dpop: DpopMode,
  rules: Omit<SharedRules, 'audience'>,
): ReadonlyMap<string, BearerIssuer> {
  const { issuer, issuers, audience, jwksUri, keys, secret, algorithms, typ = 'at+jwt' } = options
  if ((issuer === undefined) === (issuers === undefined)) {
    throw new ConfigError(
      "bearer needs one of `issuer: 'https://id.example.com'` and `issuers: [{ issuer, ... }]`: whose tokens are accepted",
      'issuer-required',
    )
  }
  const own = {
    ...(jwksUri !== undefined && { jwksUri }),
    ...(keys !== undefined && { keys }),
    ...(secret !== undefined && { secret }),
  }
  const names: readonly string[] = Array.isArray(issuer) ? issuer : typeof issuer === 'string' ? [issuer] : []
  if (Object.keys(own).length > 0 && (issuers !== undefined || names.length !== 1)) {
    throw new ConfigError(
      `bearer.${Object.keys(own)[0]!} beside several issuers would let each of them speak for the others; write \`issuers: [{ issuer, ${Object.keys(own)[0]!} }]\``,
    )
  }

  const given = issuers ?? names.map((name) => ({ issuer: name, ...own }))
  if (!Array.isArray(given) || given.length === 0) {
    throw new ConfigError(
      `bearer.${issuers === undefined ? 'issuer' : 'issuers'} must name at least one issuer`,
    )
  }
  const around: IssuerTermsOptions = { ...options, dpop }
  // What is wrong beside the list is wrong there, also if every issuer says something else.
  prepareTerms('bearer', around)
  if (audience !== undefined) checkAudience('bearer.audience', audience)
  if (algorithms !== undefined) checkAlgorithmNames('bearer.algorithms', algorithms)
  const usual = acceptedTypes('bearer.typ', typ)
  const map = new Map<string, BearerIssuer>()
  ;[...given].forEach((one: IssuerOptions, index) => {
    const option = issuers !== undefined ? `bearer.issuers[${index}]` : 'bearer'
    knownKeys(option, one, KNOWN, PROTECTING)
    const { name, audiences, keys, keysFrom, ...found } = prepareIssuer(
      option,
      one.algorithms === undefined && algorithms !== undefined ? { ...one, algorithms } : one,
      { audience, ...rules },
    )
    if (map.has(name)) throw new ConfigError(`${option}.issuer is listed twice; keep one`)
    const types = one.typ === undefined ? usual : acceptedTypes(`${option}.typ`, one.typ)
    const terms = prepareTerms(option, one, around)
    // Member by member, because all of them are read by the same code: V8 gives each that is spread a hidden class of its own.
    map.set(name, { name, audiences, algorithms: found.algorithms, keys, keysFrom, types, terms })
  })
  return map
}

/** `undefined` among the types: `typ` may be missing. */
function acceptedTypes(option: string, typ: unknown): ReadonlySet<string | undefined> {
  if (typ === false) return new Set(['at+jwt', 'jwt', undefined])
  const list: unknown[] = Array.isArray(typ) ? typ : [typ]
  if (list.length > 0 && list.every((one) => typeof one === 'string' && one !== '')) {
    return new Set(list.map(mediaType))
  }
  throw new ConfigError(
    `${option} must be a media type such as 'at+jwt', a list of them, or false, got ${show(typ)}`,
  )
}
