import { unaskedBy } from '../kernel/ambient.js'
import { enforcementOf, type Mode } from '../kernel/mode.js'
import type { Finding, Stage } from '../kernel/stage.js'
import type { RouteRule } from '../route-rule.js'

/** What each of these lets in where it only reports; found as `auth-reported` and so on. */
export const WHAT_IS_REPORTED: Readonly<Record<string, string>> = {
  auth: 'callers without a valid credential get in as anonymous',
  rbac: 'callers without the permission get in',
  csrf: 'pages of other sites can act as whoever visits them',
  ownership: 'callers get at what belongs to others',
  policy: 'callers get in whom a policy would keep out',
  stepUp: 'callers get in without the fresh login or the second factor',
}

/** What the settings switch off or only report. */
export function settingFindings(
  settings: Readonly<Record<string, unknown>>,
  rules: readonly RouteRule[],
  stages: readonly Stage[],
): Finding[] {
  const { auth, csrf, firewall, mode, headers } = settings
  const why = stages.map(unaskedBy).find((one) => one !== undefined)
  // Where nothing is sent unasked, it has nothing to judge.
  const judging = stages.filter(({ name }) => name !== 'csrf' || why !== undefined)
  const found: (Finding | false)[] = [
    auth === false && {
      code: 'auth-off',
      severity: 'high',
      cause: 'auth is false: nobody is asked who they are',
      fix: 'write auth: [bearer({ issuer, audience })] if this API is not open to everybody',
    },
    csrf === false && why !== undefined && csrfOff(why),
    mode === 'report' && {
      code: 'report-mode',
      severity: 'medium',
      cause: 'refusals are only put on record',
      fix: "write mode: 'enforce' once the report is clean",
    },
    firewall === false && {
      code: 'firewall-off',
      severity: 'medium',
      cause: 'ambiguous paths reach the router, which may read them differently',
      fix: 'leave firewall on; public routes never fit such a path while it is off',
    },
    headers === false && {
      code: 'headers-off',
      severity: 'medium',
      cause: 'replies carry no security headers',
      fix: 'leave headers on, or set them where you do',
    },
  ]
  return [
    ...found.filter((finding) => finding !== false),
    ...(why === undefined
      ? []
      : rules
          .filter(({ takes, isPublic }) => takes.includes('csrf') && !isPublic)
          .map(({ pattern }) => csrfOff(why, pattern))),
    ...reported(mode as Mode | undefined, undefined, judging),
    ...rules.flatMap((rule) => routeMode(mode as Mode | undefined, rule, judging)),
  ]
}

function csrfOff(why: string, route?: string): Finding {
  return {
    code: 'csrf-off',
    severity: 'high',
    cause: `csrf is false${route === undefined ? '' : ` on ${route}`}: ${why}, so pages of other sites can act as whoever visits them`,
    fix: 'leave csrf on, and list your own other origins in csrf.origins',
    ...(route === undefined ? {} : { route }),
  }
}

function routeMode(general: Mode | undefined, rule: RouteRule, stages: readonly Stage[]): Finding[] {
  if (rule.mode === undefined) return []
  const known = reported(general, undefined, stages).map(({ code }) => code)
  const severe = reported(general, rule, stages).filter(({ code }) => !known.includes(code))
  if (severe.length > 0) return severe
  return [
    {
      code: 'route-mode',
      severity: 'low',
      route: rule.pattern,
      cause: `${rule.pattern} has a mode of its own`,
      fix: 'drop it once it is no longer needed',
    },
  ]
}

/** Whoever only reports that he does not know the caller, or that the caller may not, lets him in. */
function reported(
  general: Mode | undefined,
  rule: RouteRule | undefined,
  stages: readonly Stage[],
): Finding[] {
  const enforcement = enforcementOf(general, rule?.mode)
  return Object.entries(WHAT_IS_REPORTED).flatMap(([name, consequence]): Finding[] => {
    const stage = stages.find((each) => each.name === name)
    // Nobody is asked on a public route, so nobody is reported.
    if (stage === undefined || rule?.isPublic === true || enforcement(stage) === 'enforce') return []
    return [
      {
        code: `${name}-reported`,
        severity: 'high',
        cause: `${name} only reports${rule === undefined ? '' : ` on ${rule.pattern}`}: ${consequence}`,
        fix: `write mode: { ${name}: 'enforce' } once the report is clean`,
        ...(rule === undefined ? {} : { route: rule.pattern }),
      },
    ]
  })
}
