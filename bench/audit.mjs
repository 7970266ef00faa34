// One audit event to a file, in CPU time of all threads: ours (chained, signed, on record at the end of its
// turn) beside winston's own File transport (neither, and lost at `kill -9` as far as it still waits). They take turns.
import { EventEmitter, once } from 'node:events'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { IncomingMessage, ServerResponse } from 'node:http'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import winston from 'winston'
import { audit } from '../dist/index.js'

const IN_FLIGHT = 32
const DURABILITIES = ['turn', 'before-reply']
const SERVICE = hostname()

/** Rows `{ durability, ratios }`, each ratio taken inside a round of all. */
export async function auditRows({ rounds = 12, events = 16_000 } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'secure-api-bench-'))
  try {
    const writers = [
      winstonFile(join(dir, 'winston.jsonl')),
      ...(await Promise.all(
        DURABILITIES.map((durability) => ours(join(dir, `${durability}.jsonl`), durability)),
      )),
    ]
    const samples = []
    for (let round = -2; round < rounds; round++) {
      const sample = []
      for (let i = 0; i < writers.length; i++) {
        const place = (i + round + writers.length) % writers.length
        sample[place] = await cpuPerEvent(writers[place], events)
      }
      if (round >= 0) samples.push(sample)
    }
    for (const { close } of writers) await close()
    return DURABILITIES.map((durability, i) => ({
      durability,
      ratios: samples.map((sample) => sample[i + 1] / sample[0]),
    }))
  } finally {
    rmSync(dir, { recursive: true })
  }
}

async function cpuPerEvent({ write, settled }, events) {
  const before = process.cpuUsage()
  for (let n = 0; n < events; n += IN_FLIGHT) {
    for (let i = 0; i < IN_FLIGHT; i++) write(i)
    await turn()
  }
  await settled()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / events
}

async function ours(path, durability) {
  const { privateKey } = generateKeyPairSync('ed25519')
  const stage = audit({ file: { path, key: privateKey }, service: SERVICE, durability })
  const requests = exchanges()
  for (const { req, res } of requests) await new Promise((done) => stage(req, res, done))
  return {
    write: (i) =>
      requests[i].req.security.record('refused', {
        outcome: 'refused',
        stage: 'rbac',
        code: 'forbidden',
        status: 403,
        rule: 'routes["GET /orders/:id"].permissions',
        order: 'A-17',
      }),
    settled: turn,
    close: () => stage.stage.close(),
  }
}

/** The same members, as one would log them by hand. */
function winstonFile(path) {
  const transport = new winston.transports.File({ filename: path })
  const logger = winston.createLogger({ format: winston.format.json(), transports: [transport] })
  const requests = exchanges()
  const write = (i) => {
    const { req, startedAt } = requests[i]
    logger.warn('audit', {
      kind: 'refused',
      time: new Date().toISOString(),
      severity: 'low',
      outcome: 'refused',
      method: req.method,
      path: req.url,
      status: 403,
      clientIp: req.socket.remoteAddress,
      service: SERVICE,
      stage: 'rbac',
      code: 'forbidden',
      rule: 'routes["GET /orders/:id"].permissions',
      requestId: req.id,
      durationMs: Math.round((performance.now() - startedAt) * 1000) / 1000,
      facts: { order: 'A-17' },
    })
  }
  return {
    write,
    /** What is still on its way, through the logger, its transport and its file. */
    async settled() {
      while (
        logger.writableLength > 0 ||
        transport.writableLength > 0 ||
        transport._stream.writableLength > 0 ||
        transport._dest.writableLength > 0
      )
        await turn()
    },
    async close() {
      logger.end()
      await once(transport, 'finish')
    },
  }
}

function exchanges() {
  return Array.from({ length: IN_FLIGHT }, (_, i) => {
    const socket = Object.assign(new EventEmitter(), { remoteAddress: '192.0.2.17' })
    const req = Object.assign(new IncomingMessage(socket), {
      method: 'GET',
      url: `/orders/A-${i}`,
      id: `01K${i}abcdef`,
    })
    return { req, res: new ServerResponse(req), startedAt: performance.now() }
  })
}
