import { show } from './kernel/check.js'
import { ConfigError } from './kernel/config-error.js'

/** Programs without types pass `null` for what they forgot to set. */
export function refuseNull(option: string, setting: unknown): void {
  if (setting === null) throw new ConfigError(`${option} must not be null; write false, or leave it out`)
}

/** Whether it is marked as sensitive. @throws ConfigError for anything but `true`: what a wider rule says cannot be taken back */
export function isMarkedSensitive(option: string, setting: Readonly<Record<string, unknown>>): boolean {
  if (!Object.hasOwn(setting, 'sensitive')) return false
  if (setting.sensitive === true) return true
  throw new ConfigError(`${option}.sensitive must be true or absent, got ${show(setting.sensitive)}`)
}

/** `{ replace: ... }`: in the place of what is said in general. */
export function isReplacement(setting: unknown): setting is { replace: unknown } {
  return (
    typeof setting === 'object' &&
    setting !== null &&
    Object.keys(setting).length === 1 &&
    Object.hasOwn(setting, 'replace')
  )
}

/** Stages name their options as if they stood alone; a message has to say where that is. */
export function within<T>(place: string, build: () => T): T {
  try {
    return build()
  } catch (error) {
    if (!(error instanceof ConfigError) || error.message.startsWith(place)) throw error
    throw new ConfigError(`${place}: ${error.message}`, error.code)
  }
}
