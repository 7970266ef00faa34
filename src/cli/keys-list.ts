import type { ApiKeyInfo } from '../index.js'
import { read, type Command } from './command.js'

export const keysList: Command = {
  usage: 'list [--owner <who>] [--json]',
  what: 'Lists keys, without their secrets: one line each, or one JSON object a line.',

  prepare(args) {
    const { values } = read(args, { owner: { type: 'string' }, json: { type: 'boolean' } }, 0)
    const { owner, json } = values
    return async (keys, { out }) => {
      for await (const info of keys.list(owner === undefined ? {} : { owner })) {
        out(json === true ? `${JSON.stringify(info)}\n` : `${line(info)}\n`)
      }
      return true
    }
  },
}

function line({ id, owner, name, scopes, expiresAt, revokedAt, lastUsedAt, secrets }: ApiKeyInfo): string {
  const grace = secrets[1]?.graceUntil
  return [
    id,
    owner,
    ...(name === undefined ? [] : [name]),
    scopes.join(' ') || '(no scopes)',
    revokedAt === undefined ? `ends ${day(expiresAt)}` : `revoked ${day(revokedAt)}`,
    ...(grace === undefined ? [] : [`old secret until ${day(grace)}`]),
    `used ${day(lastUsedAt)}`,
  ].join('  ')
}

function day(moment: number | undefined): string {
  return moment === undefined ? 'never' : new Date(moment).toISOString()
}
