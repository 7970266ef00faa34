// A second factor of this API, in the tour: an authenticator app. Passkeys need a browser, so that only their refusals are here.
import { Secret, TOTP } from 'otpauth'
import { UNKNOWN } from './logins.js'
import { pay } from './requests/parts.js'

/** @returns the secret of the authenticator app */
export async function stepsUp(tess) {
  await tess.does({
    protection: 'stepUp',
    shows: 'a login at the provider is not enough to pay',
    ...pay,
    status: 401,
    stage: 'stepUp',
    rule: 'authentication-method',
    reply: ({ headers, body }) =>
      headers['www-authenticate'].includes('error="insufficient_user_authentication"') &&
      headers['www-authenticate'].includes('max_age="300"') &&
      String(body.amr_values) === 'pop,otp',
  })
  const factor = (action, body = {}) => ({ method: 'POST', path: `/mfa/${action}`, body })
  await tess.does({
    protection: 'webauthn',
    shows: 'what a new passkey must be like',
    ...factor('passkeys/options'),
    status: 200,
    stage: 'stepUp',
    reply: ({ body }) =>
      body.rp.id === 'localhost' && body.authenticatorSelection.userVerification === 'required',
  })
  await tess.does({
    protection: 'webauthn',
    shows: 'a passkey that somebody made up',
    ...factor('passkeys/register', { credential: { id: 'made-up', response: {} } }),
    status: 403,
    stage: 'webauthn',
  })
  const { body } = await tess.does({
    protection: 'totp',
    shows: 'an authenticator app, which counts from its first code on',
    ...factor('codes/enrol'),
    status: 200,
    stage: 'stepUp',
  })
  await tess.does({
    protection: 'totp',
    shows: 'a code that no app shows',
    ...factor('codes/confirm', { code: '12345' }),
    status: 403,
    stage: 'totp',
    rule: 'totp-code',
  })
  const code = new TOTP({ secret: Secret.fromBase32(body.secret) }).generate()
  const before = String(tess.here)
  await tess.does({
    protection: 'totp',
    shows: 'the code that the app shows',
    ...factor('codes/confirm', { code }),
    status: 200,
    stage: 'stepUp',
    reply: ({ body: { recovery_codes: recovery } }) => recovery.length === 10,
  })
  await tess.does({
    protection: 'stepUp',
    shows: 'with a factor, and just now, the payout is made',
    ...pay,
    status: 201,
    stage: 'stepUp',
    reply: ({ body: { by } }) => by === 'tess',
  })
  await tess.does({
    protection: 'totp',
    shows: 'the same code once more',
    ...factor('codes/verify', { code }),
    status: 403,
    stage: 'totp',
    rule: 'totp-replayed',
  })
  await tess.does({
    ...UNKNOWN,
    shows: 'the cookie of before the factor',
    headers: { Cookie: before },
    rule: 'session-unknown',
  })
  return body.secret
}
