import type { Finding } from '../kernel/stage.js'
import type { Plan, Plans } from '../plans.js'
import { casesOfRules, isPublic, type Case } from './decisions.js'
import type { GuardMark } from './guard-mark.js'

/**
 * Which of these are marked as sensitive, by a rule or by a guard, and ask their callers for no fresh or stronger authentication.
 *
 * @param guards those that every such request has met
 */
export function sensitiveFindings(cases: readonly Case[], guards: readonly GuardMark[]): Finding[] {
  const isMarked = guards.some(({ settings }) => settings?.sensitive === true)
  return cases
    .filter(({ plan }) => isMarked || plan.rules.some(({ isSensitive }) => isSensitive))
    .flatMap(({ label, plan }) => {
      // A guard before a public route refuses everybody, which is found by itself.
      if (isPublic(plan)) return [atPublic(label)]
      const modes = [...askedBy(plan), ...guards.flatMap((mark) => askedByGuard(mark, plan))]
      if (modes.length === 0) return [without(label)]
      return modes.includes('enforce') ? [] : [onlyReported(label)]
    })
}

/** The same by the rules alone, where neither routes nor guards can be listed. */
export function sensitiveRules(plans: Plans): Finding[] {
  return sensitiveFindings(casesOfRules(plans.rules, plans), [])
}

/** A stage of the user's that is called so may ask for anything. */
function askedBy({ seats, enforcement }: Plan) {
  return seats
    .filter(({ stage, door }) => door !== 'extra' && stage.name === 'stepUp')
    .map(({ stage }) => enforcement(stage))
}

function askedByGuard({ settings }: GuardMark, { enforcement }: Plan) {
  return settings?.stepUp === undefined ? [] : [enforcement({ name: 'stepUp' })]
}

function without(route: string): Finding {
  // No rule may name HEAD, which takes that of GET, or OPTIONS, which takes only those for all methods.
  const pattern = route.replace(/^HEAD /, 'GET ').replace(/^OPTIONS /, '* ')
  return {
    code: 'sensitive-without-step-up',
    severity: 'high',
    route,
    cause: `${route} is sensitive, and nothing asks its callers for fresh or stronger authentication`,
    fix: `write stepUp in routes['${pattern}'] or in its guard, such as { maxAgeSeconds: 300 }, or drop sensitive`,
  }
}

function onlyReported(route: string): Finding {
  return {
    code: 'sensitive-reported',
    severity: 'high',
    route,
    cause: `${route} is sensitive, and stepUp only reports there: callers get in without the fresh login or the second factor`,
    fix: "write mode: { stepUp: 'enforce' } once the report is clean",
  }
}

function atPublic(route: string): Finding {
  return {
    code: 'sensitive-public',
    severity: 'high',
    route,
    cause: `${route} is sensitive and public: nobody is asked who they are`,
    fix: `drop public: true for ${route}, or sensitive where it is said`,
  }
}
