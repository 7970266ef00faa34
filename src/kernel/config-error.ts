/** The only error thrown at start: an option breaks a rule. The message names the option, the rule, the value and the fix. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'

  /**
   * @param message what is wrong and how to mend it; never contains a secret
   * @param code stable name of the rule, for programs
   */
  constructor(
    message: string,
    readonly code: string = 'invalid-option',
  ) {
    super(message)
  }
}
