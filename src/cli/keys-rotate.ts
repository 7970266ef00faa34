import { read, wholeNumber, type Command } from './command.js'

const HOUR_MS = 3_600_000

export const keysRotate: Command = {
  usage: 'rotate <id> [--grace-hours <n>]',
  what: 'Gives a key a second secret and prints it, once. The one before stays good for a day, or as long as you say.',

  prepare(args) {
    const { values, positionals } = read(args, { 'grace-hours': { type: 'string' } }, 1)
    const hours = wholeNumber('grace-hours', values['grace-hours'] ?? '24', 0)
    return async (keys, { out, err }) => {
      const rotated = await keys.rotate(positionals[0]!, { graceMs: hours * HOUR_MS })
      if (rotated === undefined) {
        err('There is no such key, or it is over.\n')
        return false
      }
      out(`${rotated.key}\n`)
      err(`The secret before is good for ${hours} more hours. The new key cannot be shown again.\n`)
      return true
    }
  },
}
