import type { ServerResponse } from 'node:http'
import { bearer } from '../../src/identity/bearer.js'
import type { Log } from '../../src/kernel/ports.js'
import { secureApi, type SecureApi, type SecureApiOptions } from '../../src/secure-api.js'
import { fakeClock, localIssuer, type FakeClock, type LocalIssuer } from '../../src/testing/index.js'

export const silent: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }

export interface TestApi {
  readonly api: SecureApi
  readonly clock: FakeClock
  readonly issuer: LocalIssuer
  /** Audit events, in order. */
  readonly events: Record<string, unknown>[]
  /** The value of `Authorization` for a caller with these claims. */
  readonly as: (claims?: Record<string, unknown>) => string
}

const issuers = new Map<string, LocalIssuer>()

/** A secured API with a local issuer, a fake clock, and an audit trail in an array. */
export function testApi(options: Partial<SecureApiOptions> = {}): TestApi {
  const clock = fakeClock()
  // Key generation is the slow part, and keys carry no state of a test.
  const issuer = issuers.get('one') ?? localIssuer({ clock })
  issuers.set('one', issuer)

  const events: Record<string, unknown>[] = []
  const keep = (event: object): void => void events.push({ ...event })
  const api = secureApi({
    auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
    audit: { logger: { info: keep, warn: keep, error: keep } },
    clock,
    log: silent,
    fetch: issuer.fetch,
    ...options,
  })
  return { api, clock, issuer, events, as: (claims) => issuer.asUser(claims).Authorization }
}

/** `res.json` where there is one: on plain `node:http`, a stage that shapes replies brings it. */
export function sendJson(res: ServerResponse & { json?: (body: unknown) => void }, body: unknown): void {
  if (res.json !== undefined) return res.json(body)
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify(body))
}
