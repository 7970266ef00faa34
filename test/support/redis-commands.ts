import type { Redis } from 'ioredis'

/** What a Redis server was asked, as it saw it itself; what a script did in it is told apart. */
export interface SeenCommands {
  readonly sent: string[][]
  readonly inScripts: string[][]
}

/** Watches a client for as long as `work` takes. */
export async function commandsOf(client: Redis, work: () => Promise<unknown>): Promise<SeenCommands> {
  const seen: SeenCommands = { sent: [], inScripts: [] }
  const watcher = await client.monitor()
  try {
    const told = new Promise<void>((resolve) => {
      watcher.on('monitor', (_time: string, command: string[], source: string) => {
        if (command[0] === 'echo') return resolve()
        seen[source === 'lua' ? 'inScripts' : 'sent'].push(command)
      })
    })
    await work()
    // Whoever hears of this one has heard of all before.
    await client.echo('the end')
    await told
    return seen
  } finally {
    watcher.disconnect()
  }
}
