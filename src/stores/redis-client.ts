import { ConfigError } from '../kernel/config-error.js'
import { show } from '../kernel/check.js'
import type { Script } from './redis-scripts.js'
import { surviveErrors } from './survive-errors.js'

/** An ioredis client, single or cluster, as far as it is used here. */
export interface IoredisClient {
  readonly status: string
  readonly isCluster?: boolean
  evalsha(sha1: string, keys: number, ...keysAndArguments: string[]): Promise<unknown>
  eval(source: string, keys: number, ...keysAndArguments: string[]): Promise<unknown>
  on(event: 'error', listener: () => void): unknown
  /** Of a cluster: those that own slots. */
  nodes?(role: 'master'): IoredisClient[]
  readonly options?: { readonly keyPrefix?: unknown }
}

/** A node-redis client, single, pool or cluster, as far as it is used here. */
export interface NodeRedisClient {
  readonly isReady?: boolean
  evalSha(sha1: string, options: EvalOptions): Promise<unknown>
  eval(source: string, options: EvalOptions): Promise<unknown>
  on(event: 'error', listener: () => void): unknown
  /** Of a cluster: those that own slots. */
  readonly masters?: readonly object[]
  nodeClient?(node: object): unknown
  readonly options?: { readonly keyPrefix?: unknown } | undefined
}

interface EvalOptions {
  keys: string[]
  arguments: string[]
}

/** Either client, with one way to run a script. */
export interface ScriptRunner {
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>
  /** Keys of one call must lie in one slot. */
  readonly cluster: boolean
  /** One for each server that holds keys, for scripts without keys: of a cluster several. */
  nodes(): readonly Pick<ScriptRunner, 'run'>[]
  /** What the client itself puts before each key. */
  readonly keyPrefix: string
}

const LOST = ['close', 'reconnecting', 'end']

/** @throws ConfigError for what is neither an ioredis nor a node-redis client */
export function scriptRunner(client: IoredisClient | NodeRedisClient): ScriptRunner {
  const methods = client as Partial<IoredisClient & NodeRedisClient> | null | undefined
  if (typeof methods?.evalsha === 'function') return ioredis(client as IoredisClient)
  if (typeof methods?.evalSha === 'function') return nodeRedis(client as NodeRedisClient)
  throw new ConfigError(
    `redis needs a client of ioredis or node-redis, got ${show(client)}; for example redis(new Redis(url))`,
  )
}

function ioredis(client: IoredisClient): ScriptRunner {
  surviveErrors(client)
  const runner = byIoredis(client)
  return {
    ...runner,
    cluster: client.isCluster === true,
    nodes: () => (client.isCluster === true ? client.nodes!('master').map(byIoredis) : [runner]),
    keyPrefix: keyPrefixOf(client),
  }
}

function byIoredis(client: IoredisClient): Pick<ScriptRunner, 'run'> {
  return {
    run(script, keys, args) {
      // A client that has lost its connection would queue the command, and send it when nobody waits any more.
      if (LOST.includes(client.status)) return notConnected(client.status)
      return client
        .evalsha(script.sha1, keys.length, ...keys, ...args)
        .catch((error: unknown) =>
          unknownScript(error, () => client.eval(script.source, keys.length, ...keys, ...args)),
        )
    },
  }
}

function nodeRedis(client: NodeRedisClient): ScriptRunner {
  surviveErrors(client)
  // Only its cluster client finds a node by slot.
  const cluster = 'getSlotRandomNode' in client
  const runner = byNodeRedis(client)
  return {
    ...runner,
    cluster,
    nodes: () => (cluster ? client.masters!.map((node) => byNodeOf(client, node)) : [runner]),
    keyPrefix: keyPrefixOf(client),
  }
}

function byNodeRedis(client: NodeRedisClient): Pick<ScriptRunner, 'run'> {
  return {
    run(script, keys, args) {
      if (client.isReady === false) return notConnected('not ready')
      const options = { keys: [...keys], arguments: [...args] }
      return client
        .evalSha(script.sha1, options)
        .catch((error: unknown) => unknownScript(error, () => client.eval(script.source, options)))
    },
  }
}

function byNodeOf(cluster: NodeRedisClient, node: object): Pick<ScriptRunner, 'run'> {
  return {
    run: async (...call) => byNodeRedis((await cluster.nodeClient!(node)) as NodeRedisClient).run(...call),
  }
}

function keyPrefixOf({ options }: IoredisClient | NodeRedisClient): string {
  const prefix = options?.keyPrefix
  return typeof prefix === 'string' || Buffer.isBuffer(prefix) ? prefix.toString() : ''
}

/** After a restart or SCRIPT FLUSH, Redis has to be told the script once more. */
function unknownScript(error: unknown, evaluate: () => Promise<unknown>): Promise<unknown> {
  if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return evaluate()
  throw error
}

function notConnected(status: string): Promise<never> {
  return Promise.reject(new Error(`The Redis client is not connected: ${status}`))
}
