import { walkApp } from './check/app-walk.js'
import type { CheckedApi } from './check/checked-api.js'
import { exceptionFindings } from './check/exceptions.js'
import { mountFindings } from './check/mounts.js'
import { routeFindings } from './check/routes.js'
import { proxyFindings } from './check/proxies.js'
import { sensitiveRules } from './check/sensitive.js'
import { settingFindings } from './check/settings.js'
import { lateFindings, unaskedFindings } from './check/unasked.js'
import { ConfigError } from './kernel/config-error.js'
import type { Store } from './kernel/ports.js'
import type { Finding } from './kernel/stage.js'

const SEVERITIES = ['high', 'medium', 'low']

/**
 * In each of these, something may be answered without an access decision, or to a caller who was to be asked for more.
 */
const STOPPING = new Set([
  'api-not-mounted',
  'guard-behind-handler',
  'mount-unknown',
  'route-undecided',
  'route-unprotected',
  'route-unreadable',
  'routes-unknown',
  'sensitive-public',
  'sensitive-without-step-up',
])

/**
 * What deserves a second look, the most severe first.
 *
 * @throws ConfigError in strict mode, if something may be answered without an access decision, or something sensitive without `stepUp`
 */
export function checkApp(app: unknown, checked: CheckedApi): Finding[] {
  const { settings, plans, stages, strict } = checked
  const walk = walkApp(app)
  const findings = [
    ...settingFindings(settings, plans.rules, stages),
    ...exceptionFindings(plans),
    ...proxyFindings(app, checked),
    ...lateFindings(checked),
    ...distinct(stages.flatMap((stage) => stage.findings?.(settings['store'] as Store | undefined) ?? [])),
    ...(walk === undefined
      ? [NO_ROUTES, ...sensitiveRules(plans)]
      : [
          ...mountFindings(walk, checked),
          ...routeFindings(walk, checked),
          ...unaskedFindings(walk, checked),
        ]),
  ]
  const stopping = findings.find(({ code, severity }) => STOPPING.has(code) && severity !== 'low')
  if (strict && stopping !== undefined)
    throw new ConfigError(`${stopping.cause}. ${stopping.fix}`, stopping.code)
  return findings.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))
}

/** Where routes narrow `auth`, its methods stand there once more, and have nothing new to say. */
function distinct(findings: readonly Finding[]): Finding[] {
  const said = ({ code, route = '', cause }: Finding) => `${code} ${route} ${cause}`
  return [...new Map(findings.map((finding) => [said(finding), finding])).values()]
}

const NO_ROUTES: Finding = {
  code: 'routes-unknown',
  severity: 'medium',
  cause: 'the application is no Express application, so its routes cannot be listed',
  fix: 'give check() the Express application itself; for another one, compare routes and guards with your handlers by hand',
}
