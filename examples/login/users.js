// Users in memory, to try it out. In production: your database, and what your users chose themselves.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const hashed = promisify(scrypt)
const COST = { N: 2 ** 15, maxmem: 64 * 2 ** 20 }

export async function userStore(passwords) {
  const users = new Map()
  for (const [name, { password, roles }] of Object.entries(passwords)) {
    const salt = randomBytes(16)
    users.set(name, {
      id: `user-${users.size + 1}`,
      name,
      roles,
      salt,
      hash: await hashed(password, salt, 32, COST),
    })
  }
  const nobody = { salt: randomBytes(16), hash: randomBytes(32) }

  return {
    /** The user, if the password is theirs. Names that nobody has take as long. */
    async check(name, password) {
      const user = users.get(name)
      const { salt, hash } = user ?? nobody
      return timingSafeEqual(await hashed(password, salt, 32, COST), hash) ? user : undefined
    },
  }
}
