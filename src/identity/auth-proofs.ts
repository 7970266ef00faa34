import { ConfigError } from '../kernel/config-error.js'
import { dpopMode, stricterMode, type DpopMode } from './dpop-options.js'
import type { Method } from './method.js'

/** What both say about proofs of possession; `undefined` if they exclude one another. */
export function modeOfBoth(general: unknown, narrowing: unknown): { dpop?: DpopMode } | undefined {
  if (narrowing === undefined) return {}
  const asked = dpopMode('auth.dpop', narrowing)
  const dpop = general === undefined ? asked : stricterMode(dpopMode('auth.dpop', general), asked)
  return dpop === undefined ? undefined : { dpop }
}

/** The methods as they are where proofs are asked for; what knows of none proves nothing there. @throws ConfigError if nothing is left */
export function withProofs(
  methods: readonly Method[],
  setting: unknown,
  every: boolean,
): { able: readonly Method[]; unable: readonly Method[] } {
  if (setting === undefined) return { able: methods, unable: [] }
  const dpop = dpopMode('auth.dpop', setting)
  const asked = methods.map((method) => {
    if (method.narrow !== undefined) return method.narrow(dpop)
    // With `all`, it is asked for beside one that knows of proofs.
    return dpop === 'required' && !every ? undefined : method
  })
  const able = asked.filter((method) => method !== undefined)
  const proving = methods.some((method, i) => method.narrow !== undefined && asked[i] !== undefined)
  if (able.length > 0 && (dpop !== 'required' || proving) && !(every && able.length < methods.length)) {
    return { able, unable: methods.filter((_, i) => asked[i] === undefined) }
  }
  throw new ConfigError(
    `auth.dpop is '${dpop}', which no method of this API can be; write \`dpop\` for bearer or introspection`,
  )
}
