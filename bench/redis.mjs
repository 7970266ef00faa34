// What requests ask a real Redis: commands that the process sent, as Redis itself saw them.
import { randomBytes } from 'node:crypto'
import { on, once } from 'node:events'
import { createServer, ServerResponse } from 'node:http'
import { drivers, startRedis } from '../scripts/chaos/support/redis-server.mjs'
import { apiKey, apiKeys, rateLimit, session } from '../dist/index.js'
import { redis } from '../dist/stores/redis.js'

/** One of each algorithm, so that they cannot be counted as one. */
const LIMITS = ['fixed', 'sliding', 'gcra'].map((algorithm) => ({
  name: algorithm,
  algorithm,
  limit: 1_000_000,
}))
const REQUESTS = 50

/** What each row has in front of its handler, and what its requests bring along. */
const ROWS = [
  { part: 'limiter on Redis, a row of three policies', prepare: limited },
  { part: 'API key on Redis', prepare: withKey },
  { part: 'session on Redis', prepare: withSession },
]

/** Commands for each request, in each of so many turns; a request waits for each of them, because it needs the answer. */
export async function redisRows(turns) {
  const server = await startRedis()
  const client = await drivers.ioredis(server.port)
  const watcher = await client.monitor()
  try {
    const rows = []
    for (const { part, prepare } of ROWS) {
      const samples = await commands(turns, await prepare(redis(client)), { client, watcher })
      rows.push({ part, key: 'redisRow', samples })
    }
    return rows
  } finally {
    watcher.disconnect()
    client.disconnect()
    await server.kill()
  }
}

async function commands(turns, { stage, fields }, { client, watcher }) {
  let count = 0
  // What a script does inside Redis is no way there and back.
  const seen = (_time, _command, source) => (count += source === 'lua' ? 0 : 1)
  const http = createServer((req, res) => stage(req, res, () => res.end())).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const ask = async () => {
    const { status } = await fetch(`http://127.0.0.1:${http.address().port}/`, { headers: fields })
    if (status !== 200) throw new Error(`a request was answered ${status}`)
  }
  try {
    // Redis is told the script, and what is noted from time to time is noted.
    await ask()
    await flushed(client, watcher, 'warm')
    watcher.on('monitor', seen)
    const samples = []
    for (let turn = 0; turn < turns; turn++) {
      count = 0
      for (let i = 0; i < REQUESTS; i++) await ask()
      await flushed(client, watcher, `end of turn ${turn}`)
      if (count - 1 < REQUESTS) throw new Error('a request was answered without asking Redis')
      samples.push((count - 1) / REQUESTS)
    }
    return samples
  } finally {
    watcher.off('monitor', seen)
    http.close()
    http.closeAllConnections()
  }
}

function limited(store) {
  const stage = rateLimit(LIMITS, { store })
  return { stage, fields: {} }
}

async function withKey(store) {
  const options = { store, pepper: randomBytes(32) }
  const { key } = await apiKeys(options).create({ owner: 'bench' })
  return { stage: apiKey(options), fields: { 'X-API-Key': key } }
}

async function withSession(store) {
  const stage = session({ store })
  const res = new ServerResponse({ method: 'POST' })
  await stage.login({ headers: {} }, res, { subject: 'bench', factors: ['pwd'] })
  return { stage, fields: { Cookie: [res.getHeader('Set-Cookie')].flat()[0].split(';')[0] } }
}

/** Resolves when Redis has told of all that it was asked before. */
async function flushed(client, watcher, text) {
  const told = monitored(watcher, text)
  await client.echo(text)
  await told
}

async function monitored(watcher, text) {
  for await (const [, command] of on(watcher, 'monitor')) if (command[1] === text) return
}
