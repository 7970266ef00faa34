import { catalogue, type ProblemCode } from '../kernel/problem.js'

/** A reply as supertest has it. */
export interface RefusedReply {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
}

export interface ExpectRefusedOptions {
  /** The status, for codes of your own. Default: that of the code. */
  status?: number
}

/** What a client needs to go on, by status (RFC 9110 sections 15.5.2 and 15.5.6, RFC 6585 section 4). */
const NEEDED: Readonly<Record<number, string>> = { 401: 'www-authenticate', 405: 'allow', 429: 'retry-after' }

/**
 * Whether a reply is this refusal, and a whole one: status, media type, `code` and `type`, `no-store`, and the header field that its status needs. That the
 * handler did not run is for your test to say.
 *
 * @example
 * await request(app).get('/orders').expect(expectRefused('unauthenticated'))
 */
export function expectRefused(
  code: ProblemCode | (string & {}),
  options: ExpectRefusedOptions = {},
): (reply: RefusedReply) => void {
  const known = catalogue[code as ProblemCode] as { status: number } | undefined
  const status = options.status ?? known?.status
  if (status === undefined) throw new TypeError(`expectRefused: ${code} is no code of ours; say its status`)

  return ({ status: got, headers, text }) => {
    const problem = objectIn(text)
    const refused = `${got} ${typeof problem.code === 'string' ? problem.code : text.slice(0, 200)}`
    const type = String(headers['content-type'])
    const needed = NEEDED[status]
    const holds: [boolean, string][] = [
      [refused === `${status} ${code}`, `expected the refusal ${status} ${code}, got ${refused}`],
      [TYPE.test(type), `expected application/problem+json, got ${type}`],
      [headers['cache-control'] === 'no-store', 'a refusal must be no-store'],
      [problem.status === status, `status in the body must be ${status}, got ${String(problem.status)}`],
      [String(problem.type).endsWith(code), `type must end with the code, got ${String(problem.type)}`],
      [needed === undefined || headers[needed] !== undefined, `a ${status} needs ${needed}`],
    ]
    const broken = holds.find(([isSo]) => !isSo)
    // No AssertionError of Node: inside Jest it is no `instanceof Error`, and supertest lets pass what throws no Error.
    if (broken !== undefined) throw new Error(broken[1])
  }
}

const TYPE = /^application\/(?:problem\+)?json; charset=utf-8$/

function objectIn(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    return {}
  }
}
