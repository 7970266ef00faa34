import { read, type Command } from './command.js'

export const keysRevoke: Command = {
  usage: 'revoke <id>',
  what: 'Ends a key, now and in every process.',

  prepare(args) {
    const { positionals } = read(args, {}, 1)
    return async (keys, { err }) => {
      const info = await keys.revoke(positionals[0]!)
      err(
        info === undefined ? 'There is no such key.\n' : `The key ${info.id} of ${info.owner} is revoked.\n`,
      )
      return info !== undefined
    }
  },
}
