// What a row of limits costs on a real Redis: commands that the process sent, as Redis itself saw them.
import { on, once } from 'node:events'
import { createServer } from 'node:http'
import { drivers, startRedis } from '../scripts/chaos/support/redis-server.mjs'
import { rateLimit } from '../dist/index.js'
import { redis } from '../dist/stores/redis.js'

/** One of each algorithm, so that they cannot be counted as one. */
const LIMITS = ['fixed', 'sliding', 'gcra'].map((algorithm) => ({
  name: algorithm,
  algorithm,
  limit: 1_000_000,
}))
const REQUESTS = 50

/** Commands for each request, in each of so many turns; a request waits for each of them, because it needs the answer. */
export async function redisRow(turns) {
  const server = await startRedis()
  const client = await drivers.ioredis(server.port)
  const watcher = await client.monitor()
  let commands = 0
  // What a script does inside Redis is no way there and back.
  watcher.on('monitor', (_time, _command, source) => (commands += source === 'lua' ? 0 : 1))

  const limited = rateLimit(LIMITS, { store: redis(client) })
  const http = createServer((req, res) => limited(req, res, () => res.end())).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const ask = async () => {
    const { status, headers } = await fetch(`http://127.0.0.1:${http.address().port}/`)
    const announced = headers.get('ratelimit').match(/;r=/g).length
    if (status !== 200 || announced !== LIMITS.length) throw new Error('a request was not counted')
  }
  try {
    // Redis is told the script.
    await ask()
    const samples = []
    for (let turn = 0; turn < turns; turn++) {
      commands = 0
      for (let i = 0; i < REQUESTS; i++) await ask()
      // Whatever it still has to say about these comes before this.
      const end = `end of turn ${turn}`
      const seen = monitored(watcher, end)
      await client.echo(end)
      await seen
      samples.push((commands - 1) / REQUESTS)
    }
    return { part: 'limiter on Redis, a row of three policies', key: 'redisRow', samples }
  } finally {
    http.close()
    http.closeAllConnections()
    watcher.disconnect()
    client.disconnect()
    await server.kill()
  }
}

/** Resolves when Redis has told that somebody said this. */
async function monitored(watcher, text) {
  for await (const [, command] of on(watcher, 'monitor')) if (command[1] === text) return
}
