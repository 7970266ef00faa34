import type { Test } from 'supertest'
import { faults, type Fault } from '../../src/identity/faults.js'
import { expectRefused } from '../../src/testing/index.js'

/** Expects a token to be refused by this rule, in the reply and the challenge. Three times: what is remembered is judged as what is new. */
export async function expectTokenRefused(
  send: () => Test,
  rule: Fault,
  handled: () => number,
): Promise<void> {
  for (let n = 0; n < 3; n++) {
    const before = handled()
    const reply = await send().expect(expectRefused('invalid-token'))
    expect(JSON.parse(reply.text)).toMatchObject({ detail: faults[rule] })
    expect(reply.headers['www-authenticate']).toContain(
      `error="invalid_token", error_description="${faults[rule]}"`,
    )
    expect(handled()).toBe(before)
  }
}
