/** Parameters of a challenge, in the order they are written. What is `undefined` is left out. */
export type ChallengeParameters = Readonly<Record<string, string | undefined>>

/** One `WWW-Authenticate` value (RFC 9110 section 11.6.1): `challenge('Bearer', { realm: 'api' })`. */
export function challenge(scheme: string, parameters: ChallengeParameters = {}): string {
  return extendChallenge(scheme, parameters)
}

/** A challenge with more parameters: what a method offers, and why this request did not satisfy it (RFC 6750 section 3). */
export function extendChallenge(offered: string, parameters: ChallengeParameters): string {
  let text = offered
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue
    text += `${text.includes('=') ? ', ' : ' '}${name}="${quotable(value)}"`
  }
  return text
}

/** RFC 6750 section 3 allows neither quotes nor backslashes in these values, escaped or not, and ASCII only. */
function quotable(value: string): string {
  return value.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?')
}
