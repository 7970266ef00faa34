import { createRequire } from 'node:module'
import { ConfigError } from './config-error.js'

/**
 * Loads a package that only some users need, for whoever needs it at start. The one place that does so.
 *
 * @param user names what needs it in messages: `totp()`
 * @throws ConfigError with the line that installs it, where it is missing
 */
export function loadPeer(name: string, user: string): unknown {
  const load = createRequire(__filename)
  try {
    return load(name)
  } catch (cause) {
    if (!isMissing(name, cause)) throw cause
    throw new ConfigError(`${user} needs the package "${name}". Run: npm install ${name}`, 'missing-package')
  }
}

/** That the package itself is missing, and not a part of it. */
function isMissing(name: string, cause: unknown): boolean {
  const { code, message } = cause as Partial<Record<'code' | 'message', unknown>>
  return code === 'MODULE_NOT_FOUND' && typeof message === 'string' && message.includes(`'${name}'`)
}
