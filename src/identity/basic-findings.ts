import type { Finding } from '../kernel/stage.js'
import type { BasicRules } from './basic-options.js'
import { loopbackFinding } from './token-findings.js'

/** What `api.check` says about `basic`, however it is set. */
export function basicFindings({ allowInsecureLoopback }: BasicRules): Finding[] {
  return [
    {
      code: 'basic-weak',
      severity: 'medium',
      cause: 'basic sends a password that people chose with every request, and nothing ends it but a new one',
      fix: 'give machines keys with apiKey, or tokens of an identity provider; people belong in sessions or single sign-on',
    },
    ...loopbackFinding('basic', allowInsecureLoopback),
  ]
}
