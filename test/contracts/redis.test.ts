import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { redis } from '../../src/stores/redis.js'
import { storeContract } from '../../src/testing/index.js'

const url = process.env['REDIS_URL']!

/** The clock of the Redis server, and a way to wait until it shows a later time. */
function serverClock(time: () => Promise<unknown>) {
  const now = async () => {
    const [seconds, micros] = (await time()) as [unknown, unknown]
    return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
  }
  return {
    now,
    async pass(ms: number) {
      for (const end = (await now()) + ms; (await now()) < end;) await pause(2)
    },
  }
}

storeContract('Redis by ioredis', () => {
  const client = new Redis(url, { lazyConnect: true })
  return {
    ...redis(client),
    ...serverClock(() => client.time()),
    close: () => client.quit(),
  }
})

storeContract('Redis by node-redis', async () => {
  const client = createClient({ url })
  await client.connect()
  return {
    ...redis(client),
    ...serverClock(() => client.sendCommand(['TIME'])),
    close: () => client.close(),
  }
})
