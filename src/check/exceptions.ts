import { keyOf, meet, type Requests } from '../kernel/route-pattern.js'
import type { Finding } from '../kernel/stage.js'
import type { RouteRule } from '../route-rule.js'
import type { Plans } from '../plans.js'
import { shown } from './app-walk.js'

/** Which rules that take something away do not do so everywhere, because of another rule. */
export function exceptionFindings({ rules, tree }: Plans): Finding[] {
  return rules
    .filter(({ takes }) => takes.length > 0)
    .flatMap((rule) => {
      const wider = tree.containing(rule)
      const others = tree.overlapping(rule).filter((other) => !wider.includes(other))
      return others.flatMap((other) => {
        const both = meet(rule, other)
        if (keyOf(both) === keyOf(other)) return lost(rule, other)
        // A rule of their own says what holds where both fit.
        return keyOf(tree.containing(both)[0]!) === keyOf(both) ? [] : [crossed(rule, other, both)]
      })
    })
}

function crossed({ pattern, takes }: RouteRule, other: RouteRule, both: Requests): Finding {
  const meeting = `${both.method} ${shown(both.segments)}`
  return {
    code: 'exception-crossed',
    severity: 'medium',
    route: pattern,
    cause: `what '${pattern}' takes away (${takes.join(', ')}) does not hold for '${meeting}', which '${other.pattern}' fits too`,
    fix: `write a rule for '${meeting}' that says what holds there`,
  }
}

/** What a rule inside another one neither takes away as well nor speaks about. */
function lost(rule: RouteRule, inner: RouteRule): Finding[] {
  const { takes, additions, replacements, merges } = inner
  const spoken = new Set([...takes, ...additions.keys(), ...replacements.keys(), ...merges.keys()])
  if (inner.isPublic) spoken.add('auth')
  const silent = rule.takes.filter((word) => !spoken.has(word))
  if (silent.length === 0) return []
  return [
    {
      code: 'exception-not-inherited',
      severity: 'low',
      route: inner.pattern,
      cause: `what '${rule.pattern}' takes away (${silent.join(', ')}) does not hold for '${inner.pattern}', which is narrower`,
      fix: 'write it there too if it is meant',
    },
  ]
}
