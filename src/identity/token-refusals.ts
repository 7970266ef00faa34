import { refuse, type Problem, type ProblemCode } from '../kernel/problem.js'
import { challenge, extendChallenge } from '../lib/challenge.js'
import { faults, type Fault } from './faults.js'
import { realmText } from './realm.js'
import { metadataUrl } from './resource.js'
import { unavailable, type Unavailable } from './unavailable.js'

/** Every way in which an access token is refused, written once at start. */
export interface TokenRefusals {
  /** The challenge without an error code. */
  readonly offered: string
  /** RFC 6750 section 3.1: a request without authentication gets no error code. */
  readonly nothing: () => Problem
  readonly malformed: () => Problem
  readonly twice: () => Problem
  readonly because: (why: Fault | Unavailable) => Problem
}

/** Providers that failed are asked at most once a second: a sooner retry would only meet the same answer. */
const RETRY_AFTER = '1'

/**
 * @param resource what this API is called by clients; challenges name its metadata (RFC 9728 section 5.1)
 * @throws ConfigError for a realm that cannot be quoted
 */
export function tokenRefusals(option: string, realm: unknown, resource: string | undefined): TokenRefusals {
  const offered = challenge('Bearer', {
    realm: realmText(option, realm),
    resource_metadata: resource === undefined ? undefined : metadataUrl(resource),
  })
  const refusal = (code: ProblemCode, rule: string, detail: string, error?: string) => {
    const header = extendChallenge(offered, { error, error_description: error && detail })
    const details = { detail, rule, reason: detail, headers: { 'WWW-Authenticate': header } }
    return () => refuse(code, details)
  }
  const invalid = Object.fromEntries(
    Object.entries(faults).map(([rule, text]) => [
      rule,
      refusal('invalid-token', rule, text, 'invalid_token'),
    ]),
  ) as Record<Fault, () => Problem>

  return {
    offered,
    nothing: refusal('unauthenticated', 'no-credential', 'No credential of an accepted kind was sent'),
    malformed: refusal(
      'invalid-request',
      'authorization-malformed',
      'The Authorization header is malformed',
      'invalid_request',
    ),
    twice: refusal(
      'invalid-request',
      'authorization-twice',
      'More than one Authorization header was sent',
      'invalid_request',
    ),
    because: (why) =>
      why in unavailable
        ? refuse('identity-provider-unavailable', {
            rule: why,
            reason: unavailable[why as Unavailable],
            headers: { 'Retry-After': RETRY_AFTER },
          })
        : invalid[why as Fault](),
  }
}
