import { integer } from '../kernel/check.js'

export const LIFETIMES = ['maxLifetimeSeconds', 'maxBoundLifetimeSeconds', 'reportLifetimeSeconds'] as const

/** How long credentials may live, in seconds; `Infinity` where there is no limit. */
export type Lifetimes = Readonly<Record<(typeof LIFETIMES)[number], number>>

type LifetimeSetting = Readonly<Partial<Lifetimes>>

/** @throws ConfigError for what is no number of seconds */
export function checkLifetimes(setting: LifetimeSetting): Lifetimes {
  const seconds = (name: keyof Lifetimes) =>
    setting[name] === undefined ? Infinity : integer(`auth.${name}`, setting[name])
  return {
    maxLifetimeSeconds: seconds('maxLifetimeSeconds'),
    maxBoundLifetimeSeconds: seconds(
      setting.maxBoundLifetimeSeconds === undefined ? 'maxLifetimeSeconds' : 'maxBoundLifetimeSeconds',
    ),
    reportLifetimeSeconds: seconds('reportLifetimeSeconds'),
  }
}

/** Those that are limited, for `describe` and for settings. */
export function limitedLifetimes(lifetimes: Lifetimes): Partial<Lifetimes> {
  const { maxLifetimeSeconds, maxBoundLifetimeSeconds } = lifetimes
  const said = LIFETIMES.filter(
    (name) => name !== 'maxBoundLifetimeSeconds' || maxBoundLifetimeSeconds !== maxLifetimeSeconds,
  )
  return Object.fromEntries(
    said.filter((name) => lifetimes[name] !== Infinity).map((name) => [name, lifetimes[name]]),
  )
}

/** What both say: the shorter of each. */
export function shorter(general: LifetimeSetting, narrowing: LifetimeSetting): Partial<Lifetimes> {
  const [one, other] = [checkLifetimes(general), checkLifetimes(narrowing)]
  return limitedLifetimes({
    maxLifetimeSeconds: Math.min(one.maxLifetimeSeconds, other.maxLifetimeSeconds),
    maxBoundLifetimeSeconds: Math.min(one.maxBoundLifetimeSeconds, other.maxBoundLifetimeSeconds),
    reportLifetimeSeconds: Math.min(one.reportLifetimeSeconds, other.reportLifetimeSeconds),
  })
}
