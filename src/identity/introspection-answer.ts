import { deepFreeze } from '../lib/deep-freeze.js'
import type { GoodToken } from './accept-token.js'
import { checkClaims, type Claims } from './claims.js'
import type { Fault } from './faults.js'
import type { IntrospectionIssuer } from './introspection-issuers.js'
import { tokenPrincipal } from './token-principal.js'

/** A token of which its issuer says that it is good. Frozen: all requests with it share it. */
export type ActiveToken = GoodToken

/** There is no header in an opaque token. */
const NO_HEADER = Object.freeze({})

/** What kinds of token some issuers tell about in answers of their own; any other kind, such as a refresh token, opens nothing. */
const ACCESS_TYPES = ['bearer', 'at+jwt', 'jwt']
const ACCESS_USES = ['access', 'access_token']

/** Whether what the issuer says (RFC 7662 section 2.2) makes the token good here. All but `exp` and the like stays true. */
export function judgeAnswer(said: Claims, issuer: IntrospectionIssuer): ActiveToken | Fault {
  const { name, audiences, terms } = issuer
  if (said.active !== true) return 'token-inactive'
  if (said.iss !== undefined && said.iss !== name) return 'token-issuer'
  if (!isAccessToken(said)) return 'token-type'

  // RFC 9068 section 2.2: without a resource owner, the subject is the client itself.
  const subject = said.sub ?? said.client_id
  const validity = checkClaims({ ...said, sub: subject }, audiences, terms)
  if (typeof validity === 'string') return validity
  // It says that it is bound, and not to what.
  if (isOneOf(said.token_type, ['dpop']) && validity.binding.jkt === undefined) return 'token-bound'
  const claims = deepFreeze(said)
  return {
    validity,
    header: NO_HEADER,
    payload: claims,
    principal: tokenPrincipal('introspection', name, subject as string, claims, validity),
    terms,
  }
}

function isAccessToken({ token_type: type, typ, token_use: use }: Claims): boolean {
  return (
    (type === undefined || isOneOf(type, ['bearer', 'dpop'])) &&
    (typ === undefined || isOneOf(typ, ACCESS_TYPES)) &&
    (use === undefined || isOneOf(use, ACCESS_USES))
  )
}

function isOneOf(value: unknown, words: readonly string[]): boolean {
  return typeof value === 'string' && words.includes(value.toLowerCase())
}
