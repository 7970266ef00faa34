import { ConfigError } from './config-error.js'
import type { Fact, Stage } from './stage.js'

/**
 * Fails closed: a pipeline that checks scopes but never asks who is calling does not start.
 *
 * @param given what is established before the first of these stages
 * @throws ConfigError for a need that no earlier stage meets, for two limits that could not be told apart, and for what wants one issuer
 *   behind what knows callers of several
 */
export function assertNeedsMet(stages: readonly Stage[], given: readonly Fact[] = []): void {
  const known = new Set<Fact>(given)
  const limits = new Set<string>()
  let several = false
  for (const { name, needs = [], gives = [], policies = [], severalIssuers, oneIssuer } of stages) {
    const missing = needs.find((fact) => !known.has(fact))
    if (missing !== undefined) {
      throw new ConfigError(`${name} needs the ${missing}, but no earlier stage establishes it`, 'unmet-need')
    }
    for (const fact of gives) known.add(fact)
    several ||= severalIssuers === true
    if (several && oneIssuer !== undefined) throw new ConfigError(oneIssuer, 'ownership-issuer')
    for (const policy of policies) {
      if (limits.has(policy.name)) {
        throw new ConfigError(
          `${name}: two limits are named "${policy.name}"; give one of them another name`,
          'equal-limits',
        )
      }
      limits.add(policy.name)
    }
  }
}
