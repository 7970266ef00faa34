/**
 * Why a token is refused. The key is the rule in the audit log, the text is `error_description` (RFC 6750 section 3):
 * fixed words, which repeat nothing of what was sent.
 */
export const faults = {
  'token-too-long': 'The access token is too long',
  'token-malformed': 'The access token is malformed',
  'token-header': 'The access token has a header parameter that is not accepted',
  'token-algorithm': 'The access token is signed with an algorithm that is not accepted',
  'token-type': 'The access token is of another type than access token',
  'token-claims': 'The access token lacks a required claim or has a malformed one',
  'token-issuer': 'The access token is from an issuer that is not accepted',
  'token-audience': 'The access token is meant for another audience',
  'token-bound': 'The access token is bound to a key that was not shown',
  'token-unbound': 'The access token is not bound to a key, and has to be',
  'certificate-missing': 'The access token is bound to a client certificate, and none was shown',
  'certificate-binding': 'The access token is bound to another client certificate',
  'dpop-binding': 'The access token is bound to another key than that of the DPoP proof',
  'token-lifetime': 'The access token is valid for longer than is accepted',
  'token-expired': 'The access token expired',
  'token-not-yet-valid': 'The access token is not valid yet',
  'token-key': 'The access token is signed with an unknown key',
  'token-signature': 'The signature of the access token is not valid',
  'token-revoked': 'The access token was revoked',
  'session-revoked': 'The session of the access token is over',
  'subject-revoked': 'The access token is from before its subject was logged out',
  'token-inactive': 'The access token is not active',
} as const

export type Fault = keyof typeof faults
