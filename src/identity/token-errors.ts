import type { Problem } from '../kernel/problem.js'

const ERRORS: Partial<Record<string, string>> = {
  'invalid-grant': 'invalid_grant',
  'invalid-scope': 'invalid_scope',
  'unsupported-grant-type': 'unsupported_grant_type',
  'invalid-dpop-proof': 'invalid_dpop_proof',
  'use-dpop-nonce': 'use_dpop_nonce',
}

/**
 * RFC 6749 section 5.2, in the body of a problem: clients of OAuth read `error`, and want `application/json`; what would be 401 to an
 * access token is 400 to a request for one (RFC 9449 sections 5 and 8).
 */
export function tokenError(problem: Problem): Problem {
  if (problem.status >= 500) return problem
  const error = ERRORS[problem.code] ?? 'invalid_request'
  const status = problem.status === 401 ? 400 : problem.status
  const members = { ...problem.members, error, error_description: problem.detail ?? problem.title }
  return { ...problem, status, members, mediaType: 'application/json' }
}
