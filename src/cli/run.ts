import { ConfigError } from '../index.js'
import { keysCreate } from './keys-create.js'
import { keysList } from './keys-list.js'
import { keysRevoke } from './keys-revoke.js'
import { keysRotate } from './keys-rotate.js'
import { openDesk, type Load } from './open-desk.js'
import { UsageError, type Command } from './command.js'

/** What a command line has around it. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Loads a package of the user's project. */
  readonly load: Load
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

const COMMANDS: Readonly<Record<string, Command>> = {
  create: keysCreate,
  list: keysList,
  rotate: keysRotate,
  revoke: keysRevoke,
}

const USAGE = `Usage: secure-api keys <command>

${Object.values(COMMANDS)
  .map(({ usage, what }) => `  keys ${usage}\n      ${what}`)
  .join('\n')}

Environment:
  SECURE_API_STORE         where the keys are: redis://, rediss:// or postgres://
  SECURE_API_PEPPER        the secret under which secrets are hashed, as the API has it
  SECURE_API_KEY_PREFIX    begins every key, as in the API (default: apikey)
  SECURE_API_STORE_PREFIX  begins every key of Redis, as in the API (default: secure-api)
  SECURE_API_STORE_TABLE   the table in PostgreSQL, as in the API (default: secure_api_records)
`

/** Runs one command. The exit code: 0, 1 for what failed, 2 for what was asked in a wrong way. */
export async function run(args: readonly string[], { env, load, out, err }: Surroundings): Promise<number> {
  const [group, name, ...rest] = args
  if (group === undefined || ['help', '--help', '-h'].some((word) => args.includes(word))) {
    out(USAGE)
    return 0
  }
  const command = group === 'keys' && Object.hasOwn(COMMANDS, name ?? '') ? COMMANDS[name!] : undefined
  if (command === undefined) {
    err(`There is no command "${[group, name].join(' ').trim().slice(0, 60)}".\n\n${USAGE}`)
    return 2
  }
  try {
    const act = command.prepare(rest)
    const desk = await openDesk(env, load)
    try {
      return (await act(desk.keys, { out, err })) ? 0 : 1
    } finally {
      await desk.close()
    }
  } catch (error) {
    err(`${reasonOf(error)}\n`)
    if (error instanceof UsageError) err(`Usage: secure-api keys ${command.usage}\n`)
    // What breaks a rule of the package was asked for in a wrong way, too.
    return error instanceof UsageError || error instanceof ConfigError ? 2 : 1
  }
}

/** What a driver says may have the URL of the store in it, and with it a password. */
function reasonOf(error: unknown): string {
  const { message, code, cause } = (error ?? {}) as Record<'message' | 'code' | 'cause', unknown>
  const inner = (cause as { message?: unknown } | undefined)?.message
  const said = [message || code || 'It failed', inner].filter(
    (part) => typeof part === 'string' && part !== '',
  )
  return said.join(': ').replace(/\/\/[^@/\s]*@/g, '//***@')
}
