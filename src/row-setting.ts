import { ConfigError } from './kernel/config-error.js'

/** Programs without types pass `null` for what they forgot to set. */
export function refuseNull(option: string, setting: unknown): void {
  if (setting === null) throw new ConfigError(`${option} must not be null; write false, or leave it out`)
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
