// Who reads the metrics comes with a password, because it can do no better. In production: the hash alone, from where your secrets are.
import { randomBytes } from 'node:crypto'
import { hashPassword } from 'secure-api'

export function metricsScraper() {
  const password = randomBytes(18).toString('base64url')
  return { password, hash: hashPassword(password) }
}
