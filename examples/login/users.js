// Users in memory, to try it out. In production: your database, and what your users chose themselves.
import { hashPassword, verifyPassword } from 'secure-api'

export async function userStore(passwords) {
  const users = new Map()
  for (const [name, { password, roles }] of Object.entries(passwords)) {
    users.set(name, { id: `user-${users.size + 1}`, name, roles, hash: await hashPassword(password) })
  }

  return {
    /** The user, if the password is theirs. Names that nobody has take as long. */
    async check(name, password) {
      const user = users.get(name)
      return (await verifyPassword(password, user?.hash)) ? user : undefined
    },
  }
}
