/** What is planted in requests that bring nothing of the kind. */
export const CANARIES = {
  cookie: 'canary-cookie-6f1d7a2be90c',
  apiKey: 'canary-api-key-c03e5d18f742',
}

/** Servers that are not ours: what others do with what they are sent is their business. */
export const strangers = new WeakSet<object>()

/** Shorter words may stand somewhere by chance. */
const SHORTEST = 12
const WORDS = /[^\w-]+/
/** Members of bodies that nobody but the handler may see. */
const SECRET_MEMBERS =
  /^(?:password|passphrase|card|pan|cvv|secret|token|ssn|apiKey|api_key|(?:access|refresh|id|logout)_token|recovery_code|client_secret|signature)$/i

const FIELDS = 'authorization proxy-authorization cookie x-api-key api-key dpop x-csrf-token'.split(' ')

/** The credentials in the head of a request, as words: what would be found if somebody repeated them. */
export function secretsOfHead(headers: NodeJS.Dict<string | string[]>): string[] {
  const values = FIELDS.map((name) => {
    const value = String(headers[name] ?? '')
    return name === 'cookie' ? cookieValues(value) : `${value} ${passwordOf(value)}`
  })
  return values.flatMap((value) => value.split(WORDS).flatMap(partsOf)).filter(isLong)
}

/** RFC 7617: behind the name, which is not secret. */
function passwordOf(credentials: string): string {
  const [, encoded] = /^basic +(\S+)$/i.exec(credentials) ?? []
  const pair = Buffer.from(encoded ?? '', 'base64').toString()
  return pair.slice(pair.indexOf(':') + 1)
}

/** What a cookie is called, everybody may know. */
function cookieValues(field: string): string {
  return field
    .split(';')
    .map((pair) => pair.slice(pair.indexOf('=') + 1))
    .join(' ')
}

/** The payload of a JWT is as secret as it is, and so is its id. Its head only says how it was signed. */
function partsOf(word: string): string[] {
  if (!word.startsWith('eyJ')) return [word]
  const payload = Buffer.from(word, 'base64url').toString()
  if (/"alg"/.test(payload)) return []
  const id = /"jti":"([^"]+)"/.exec(payload)?.[1]
  return id === undefined ? [word] : [word, id]
}

/** What a body, as JSON or as a form, has under names of secrets. */
export function secretsOfBody(body: string): string[] {
  const found: string[] = []
  try {
    JSON.parse(body, (key, value: unknown) => {
      if (SECRET_MEMBERS.test(key) && typeof value === 'string') found.push(...value.split(WORDS))
      return value
    })
  } catch {
    for (const [key, value] of new URLSearchParams(body))
      if (SECRET_MEMBERS.test(key)) found.push(...value.split(WORDS))
  }
  return found.filter(isLong)
}

const isLong = (word: string) => word.length >= SHORTEST

/** The ways in which somebody may write a planted secret. */
const SPELLINGS = Object.values(CANARIES).flatMap((secret) => [
  secret,
  secret.toUpperCase(),
  Buffer.from(secret).toString('hex'),
  ...[0, 1, 2].map((shift) =>
    Buffer.from(' '.repeat(shift) + secret)
      .toString('base64url')
      .slice(4, -4),
  ),
])

/** Which of the secrets a text has in it. */
export function secretsIn(text: string, secrets: ReadonlySet<string>): string[] {
  const planted = SPELLINGS.filter((spelling) => text.includes(spelling))
  return secrets.size === 0 ? planted : [...planted, ...text.split(WORDS).filter((word) => secrets.has(word))]
}
