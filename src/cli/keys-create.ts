import { read, UsageError, wholeNumber, type Command } from './command.js'

const DAY_MS = 86_400_000

export const keysCreate: Command = {
  usage:
    'create --owner <who> --days <n> | --endless [--name <text>] [--scope <scope>]... [--role <role>]... [--cidr <range>]... [--limit <n> --window-seconds <n>]',
  what: 'Makes a key and prints it, once, on standard output.',

  prepare(args) {
    const { values } = read(
      args,
      {
        owner: { type: 'string' },
        name: { type: 'string' },
        days: { type: 'string' },
        endless: { type: 'boolean' },
        scope: { type: 'string', multiple: true },
        role: { type: 'string', multiple: true },
        cidr: { type: 'string', multiple: true },
        limit: { type: 'string' },
        'window-seconds': { type: 'string' },
      },
      0,
    )
    const { owner, name, days, endless, scope, role, cidr, limit, 'window-seconds': window } = values
    if (owner === undefined) throw new UsageError('--owner says who gets the key')
    if ((days === undefined) === (endless !== true)) {
      throw new UsageError('--days says how long the key is good; --endless, that it has no end')
    }
    if ((limit === undefined) !== (window === undefined)) {
      throw new UsageError('--limit and --window-seconds belong together')
    }
    const lifetimeMs = days === undefined ? undefined : wholeNumber('days', days) * DAY_MS
    const counted = limit !== undefined && {
      limit: {
        limit: wholeNumber('limit', limit),
        windowMs: wholeNumber('window-seconds', window!) * 1_000,
      },
    }
    return async (keys, { out, err }) => {
      const { key, info } = await keys.create({
        owner,
        ...(name !== undefined && { name }),
        ...(scope !== undefined && { scopes: scope }),
        ...(role !== undefined && { roles: role }),
        ...(cidr !== undefined && { cidrs: cidr }),
        ...counted,
        ...(lifetimeMs !== undefined && { lifetimeMs }),
      })
      out(`${key}\n`)
      err(`The id is ${info.id}. The key cannot be shown again.\n`)
      return true
    }
  },
}
