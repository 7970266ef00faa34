/**
 * Why a DPoP proof is refused. The key is the rule in the audit log, the text is `error_description` beside
 * `error="invalid_dpop_proof"` (RFC 9449 section 7.1): fixed words, which repeat nothing of what was sent.
 */
export const dpopFaults = {
  'dpop-missing': 'The DPoP proof is missing',
  'dpop-twice': 'More than one DPoP proof was sent',
  'dpop-malformed': 'The DPoP proof is malformed',
  'dpop-header': 'The DPoP proof has a header parameter that is not accepted',
  'dpop-type': 'The DPoP proof is of another type than dpop+jwt',
  'dpop-algorithm': 'The DPoP proof is signed with an algorithm that is not accepted',
  'dpop-key': 'The DPoP proof has no public key that can be used',
  'dpop-claims': 'The DPoP proof lacks a required claim or has a malformed one',
  'dpop-method': 'The DPoP proof is for another method',
  'dpop-url': 'The DPoP proof is for another URL',
  'dpop-time': 'The DPoP proof is too old or from the future',
  'dpop-token': 'The DPoP proof is for another access token',
  'dpop-signature': 'The signature of the DPoP proof is not valid',
  'dpop-replayed': 'The DPoP proof was used before',
} as const

export type DpopFault = keyof typeof dpopFaults
