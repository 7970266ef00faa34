import { verify } from '@node-rs/argon2'
import { isPassword, parseHash } from '../../src/identity/password-hash.js'
import { hashPassword, verifyPassword } from '../../src/identity/passwords.js'
import { ConfigError } from '../../src/kernel/config-error.js'

/** RFC 7914 section 12, the vector of 16 MiB. */
const RFC_7914 =
  '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887'

test('scrypt is that of RFC 7914, at its own cost', async () => {
  const hash = Buffer.from(RFC_7914, 'hex').toString('base64').replaceAll('=', '')
  const salt = Buffer.from('SodiumChloride').toString('base64').replaceAll('=', '')
  const expected = parseHash(`$scrypt$ln=14,r=8,p=1$${salt}$${hash}`)!
  expect(await isPassword('pleaseletmein', expected)).toBe(true)
  expect(await isPassword('pleaseletmeIn', expected)).toBe(false)
})

test.each([
  ['scrypt', /^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/],
  ['argon2id', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/],
] as const)(
  'hashes with %s, salted, and knows the password again, however it is typed',
  async (algorithm, form) => {
    const [one, other] = [
      await hashPassword('caf\u00e9 9', { algorithm }),
      await hashPassword('caf\u00e9 9', { algorithm }),
    ]
    expect(one).toMatch(form)
    expect(one).not.toBe(other)
    expect(await verifyPassword('caf\u00e9 9', one)).toBe(true)
    expect(await verifyPassword('cafe\u0301 9', one)).toBe(true)
    expect(await verifyPassword('cafe 9', one)).toBe(false)
    // Others read what it wrote.
    if (algorithm === 'argon2id') expect(await verify(one, 'caf\u00e9 9')).toBe(true)
  },
)

test('a user that does not exist has no password, whichever it is', async () => {
  for (const password of ['', 'x', 'x'.repeat(5_000)])
    expect(await verifyPassword(password, undefined)).toBe(false)
})

test.each<unknown>([
  undefined,
  null,
  5,
  {},
  '',
  'hunter2',
  '$2b$10$abcdefghijklmnopqrstuv',
  // Weaker than anybody should keep, or so costly that it could stop the process.
  '$scrypt$ln=13,r=8,p=1$c29kaXVtY2hsb3JpZGU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  '$scrypt$ln=30,r=8,p=1$c29kaXVtY2hsb3JpZGU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  '$scrypt$ln=15,r=8,p=99$c29kaXVtY2hsb3JpZGU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  '$argon2id$v=19$m=9999999,t=2,p=1$c29kaXVtY2hsb3JpZGU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  '$argon2i$v=19$m=19456,t=2,p=1$c29kaXVtY2hsb3JpZGU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  '$scrypt$ln=15,r=8,p=3$$',
])('%j is no hash', async (text) => {
  expect(parseHash(text)).toBeUndefined()
  if (text !== undefined) await expect(verifyPassword('hunter2', text as string)).rejects.toThrow(ConfigError)
})

test.each<[unknown, object]>([
  ['', {}],
  [5, {}],
  ['x'.repeat(1_025), {}],
  ['x', { algorithm: 'md5' }],
  ['x', { rounds: 5 }],
])('%j with %j is not hashed', async (password, options) => {
  await expect(hashPassword(password as string, options)).rejects.toThrow(ConfigError)
})
