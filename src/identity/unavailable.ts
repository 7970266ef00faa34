/** Why nobody can tell whether a token is good: the key is the rule in the audit log of a 503, the text its reason. */
export const unavailable = {
  'keys-unavailable': 'The keys of the issuer could not be fetched',
  'keys-late': 'The keys of the issuer did not arrive within a second',
  'keys-crowded': 'Too many requests wait for newer keys of the issuer already',
  'introspection-unavailable': 'The issuer could not be asked about the token',
  'introspection-refused': 'The issuer refused the question about the token',
  'introspection-crowded': 'Too many requests wait to ask the issuer already',
} as const

export type Unavailable = keyof typeof unavailable
