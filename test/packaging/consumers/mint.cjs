const { createHmac } = require('node:crypto')

/** An access token for `user-1` of `https://id.example.com`, signed with a shared secret. */
exports.mint = function mint(secret) {
  const now = Math.floor(Date.now() / 1000)
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: 'https://id.example.com', aud: 'orders', sub: 'user-1', iat: now, exp: now + 60 }
  const text = `${part({ alg: 'HS256', typ: 'at+jwt' })}.${part({ ...claims, client_id: 'c', jti: 'j' })}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}
