import { createRequire } from 'node:module'
import type request from 'supertest'

/**
 * supertest, loaded by those who send requests: minting tokens and moving clocks works without it.
 *
 * @throws Error with the line that installs it, where it is missing
 */
export function supertest(): typeof request {
  const load = createRequire(__filename)
  try {
    return load('supertest') as typeof request
  } catch (cause) {
    if (!isMissing(cause)) throw cause
    throw new Error('serve() sends requests with supertest. Run: npm install --save-dev supertest', { cause })
  }
}

/** That supertest itself is missing, and not a part of it. */
function isMissing(cause: unknown): boolean {
  return (
    cause instanceof Error &&
    'code' in cause &&
    cause.code === 'MODULE_NOT_FOUND' &&
    /'supertest'/.test(cause.message)
  )
}
