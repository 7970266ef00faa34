import { ConfigError } from './config-error.js'
import type { Fact, Stage } from './stage.js'

/**
 * Fails closed: a pipeline that checks scopes but never asks who is calling does not start.
 *
 * @param given what is established before the first of these stages
 * @throws ConfigError for a need that no earlier stage meets, and for two limits that could not be told apart
 */
export function assertNeedsMet(stages: readonly Stage[], given: readonly Fact[] = []): void {
  const known = new Set<Fact>(given)
  const limits = new Set<string>()
  for (const { name, needs = [], gives = [], policies = [] } of stages) {
    const missing = needs.find((fact) => !known.has(fact))
    if (missing !== undefined) {
      throw new ConfigError(`${name} needs the ${missing}, but no earlier stage establishes it`, 'unmet-need')
    }
    for (const fact of gives) known.add(fact)
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
