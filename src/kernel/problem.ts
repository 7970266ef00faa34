import { attempt } from '../lib/attempt.js'
import { EMPTY, ownMembers } from '../lib/polluted.js'
import { didYouMean, quoted, show } from './check.js'
import { ConfigError } from './config-error.js'

/**
 * The catalogue of refusals: every way this package says no. `code` is stable and public; `docs/problems.md` explains
 * each one. Bad syntax is 400, a schema failure 422, a broken dependency 503.
 */
export const catalogue = {
  'invalid-request': { status: 400, title: 'The credentials are malformed.' },
  'invalid-grant': { status: 400, title: 'The refresh token is not valid.' },
  'invalid-scope': { status: 400, title: 'The scope is more than was granted.' },
  'unsupported-grant-type': { status: 400, title: 'The grant type is not supported.' },
  'ambiguous-path': { status: 400, title: 'The request target is ambiguous.' },
  'invalid-host': { status: 400, title: 'The Host header field is not acceptable.' },
  'malformed-body': { status: 400, title: 'The request body is malformed.' },
  'duplicate-parameter': { status: 400, title: 'A parameter was sent more than once.' },
  'malformed-parameter': { status: 400, title: 'A parameter is malformed.' },
  'invalid-logout-token': { status: 400, title: 'The logout token is not valid.' },
  unauthenticated: { status: 401, title: 'Authentication is required.' },
  'invalid-token': { status: 401, title: 'The access token is not valid.' },
  'insufficient-user-authentication': {
    status: 401,
    title: 'The caller has to authenticate more recently or more strongly.',
  },
  'invalid-dpop-proof': { status: 401, title: 'The DPoP proof is not valid.' },
  'use-dpop-nonce': { status: 401, title: 'The DPoP proof needs a nonce of this server.' },
  'invalid-certificate': { status: 401, title: 'The client certificate is not accepted.' },
  'invalid-api-key': { status: 401, title: 'The API key is not valid.' },
  'invalid-credentials': { status: 401, title: 'The credentials are not valid.' },
  'invalid-session': { status: 401, title: 'The session is not valid.' },
  forbidden: { status: 403, title: 'The caller may not do this.' },
  'insufficient-scope': { status: 403, title: 'The access token lacks a required scope.' },
  'login-refused': { status: 403, title: 'The login was not completed.' },
  'cross-site-request': { status: 403, title: 'The request may have been sent by another site.' },
  'origin-not-allowed': { status: 403, title: 'This origin may not call the API from a browser.' },
  'tls-required': { status: 403, title: 'Credentials of this kind are accepted over TLS only.' },
  'invalid-proof': { status: 403, title: 'The proof of identity was not accepted.' },
  'not-found': { status: 404, title: 'There is no such thing here.' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed.' },
  'too-many-sessions': { status: 409, title: 'There are too many sessions already.' },
  'body-timeout': { status: 408, title: 'The request body took too long to arrive.' },
  'enrolment-refused': { status: 409, title: 'The factor cannot be enrolled as things stand.' },
  'body-too-large': { status: 413, title: 'The request body is too large.' },
  'unsupported-media-type': { status: 415, title: 'The media type of the request body is not supported.' },
  'invalid-input': { status: 422, title: 'The request is not valid.' },
  'rate-limited': { status: 429, title: 'Too many requests.' },
  'too-many-attempts': { status: 429, title: 'Too many attempts failed.' },
  'quota-exceeded': { status: 429, title: 'The quota is used up.' },
  'too-many-fields': { status: 431, title: 'The request has too many header fields.' },
  broken: { status: 500, title: 'Something went wrong.' },
  unshapable: { status: 500, title: 'The reply could not be prepared safely.' },
  undecided: { status: 500, title: 'No access decision was made for this route.' },
  'identity-provider-unavailable': { status: 503, title: 'Credentials cannot be checked at the moment.' },
  'store-unavailable': { status: 503, title: 'A required store cannot be reached at the moment.' },
  'policy-unavailable': { status: 503, title: 'Access cannot be decided at the moment.' },
  'audit-unavailable': { status: 503, title: 'The request cannot be recorded at the moment.' },
  'handler-timeout': { status: 504, title: 'The request took too long to answer.' },
} as const satisfies Record<string, { status: number; title: string }>

export type ProblemCode = keyof typeof catalogue

const PROBLEM = Symbol.for('secure-api.problem')

/** What a refusal says beyond its code. */
export interface ProblemDetails {
  /** For the client: short, stable, without an echo of input. */
  detail?: string
  /** Extension members of the body (RFC 9457 section 3.2), in `snake_case`. */
  members?: Readonly<Record<string, unknown>>
  /** What the body is called where a protocol has a word of its own for it (RFC 6749 section 5.2). Default: `application/problem+json`. */
  mediaType?: 'application/json'
  /** Header fields of the reply, such as `WWW-Authenticate` and `Retry-After`. */
  headers?: Readonly<Record<string, string | readonly string[]>>
  /** For the operator: the stable name of the rule that refused. */
  rule?: string
  /** For the operator: one sentence of why. Goes to the audit log and the trace, never to the client. */
  reason?: string
  /** For the operator: the error behind it. Never sent. */
  cause?: unknown
  /** Carried out even where the stage only reports: what it refuses must not get in. */
  always?: true
}

/** A refusal as a value: stages return it, `respond` sends it. */
export interface Problem extends ProblemDetails {
  readonly code: string
  readonly status: number
  readonly title: string
}

/** A kind of refusal that the catalogue does not have, for your own stages. */
export interface OwnProblem {
  /** Stable, lower case with hyphens; becomes the last part of the problem's `type`. */
  code: string
  /** From 400 to 599. */
  status: number
  title: string
}

/**
 * Builds a refusal to be returned from a stage. Cheap on purpose: saying no under attack must cost nothing.
 *
 * @param details `null` counts as left out: a no must not break because there is nothing to add to it
 * @throws ConfigError for a code that the catalogue does not have, and a kind of your own that is no refusal
 */
export function refuse(kind: ProblemCode | OwnProblem, details?: ProblemDetails | null): Problem {
  const { status, title } = typeof kind === 'string' ? entryOf(kind) : checkOwn(kind)
  const code = typeof kind === 'string' ? kind : kind.code
  const said: ProblemDetails = details ?? EMPTY
  const { detail, members, mediaType, headers, rule, reason, cause, always } = isPolluted(EMPTY)
    ? ownMembers(said)
    : said
  // One shape for all: whoever sends and records refusals meets many.
  const all = {
    [PROBLEM]: true,
    code,
    status,
    title,
    detail,
    members,
    mediaType,
    headers,
    rule,
    reason,
    cause,
    always,
  }
  return all as Problem
}

/** Whether details that lack a member would get it from `Object.prototype`, and send it to clients. */
function isPolluted(empty: ProblemDetails): boolean {
  const { detail, members, mediaType, headers, rule, reason, cause, always } = empty
  return (
    detail !== undefined ||
    members !== undefined ||
    mediaType !== undefined ||
    headers !== undefined ||
    rule !== undefined ||
    reason !== undefined ||
    cause !== undefined ||
    always !== undefined
  )
}

function entryOf(code: ProblemCode): { readonly status: number; readonly title: string } {
  if (Object.hasOwn(catalogue, code)) return catalogue[code]
  throw new ConfigError(
    `refuse: there is no problem ${quoted(code)}${didYouMean(code, Object.keys(catalogue))}; one of your own is { code, status, title }`,
  )
}

/** A client takes 200 for a yes, and 204 and 304 have no body to say why not. */
function checkOwn(kind: OwnProblem): OwnProblem {
  const { code, status, title } = Object(kind) as Partial<OwnProblem>
  if (
    typeof code === 'string' &&
    typeof title === 'string' &&
    Number.isInteger(status) &&
    status! >= 400 &&
    status! <= 599
  )
    return kind
  throw new ConfigError(
    `refuse needs a code of the catalogue, or { code, status, title } with a status from 400 to 599, got ${
      typeof status === 'number' ? `status ${status}` : show(kind)
    }`,
  )
}

/** Whether `value` was made by `refuse`, by this copy of the package or another one. */
export function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false
  try {
    if (!(PROBLEM in value)) return false
    const { code, status } = value as unknown as Problem
    return typeof code === 'string' && typeof status === 'number'
  } catch {
    // A proxy may throw at any touch.
    return false
  }
}

/** The refusal that an error carries, such as a `RefusedError`: asked this way, one of another copy of the package is one too. */
export function problemIn(error: unknown): Problem | undefined {
  return attempt(() => {
    const { problem } = Object(error) as { problem?: unknown }
    // Read here and now: whatever throws when it is read must not do so later, in the midst of an answer.
    return isProblem(problem) ? { ...problem } : undefined
  }, undefined)
}
