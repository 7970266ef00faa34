import type { OnceStore, RecordPage, RecordStore } from '../kernel/ports.js'
import { hashedKey } from './hashed-key.js'
import type { ScriptRunner } from './redis-client.js'
import {
  claimOnce,
  deleteRecord,
  getRecord,
  getRecords,
  putRecord,
  replaceRecord,
  scanRecords,
} from './redis-scripts.js'

/** Records in Redis, each a string that ends by itself. In a cluster every call is about one key. */
export class RedisRecords implements RecordStore {
  constructor(
    private readonly runner: ScriptRunner,
    private readonly prefix: string,
  ) {}

  async get(space: string, key: string): Promise<string | undefined> {
    return textOf(await this.runner.run(getRecord, [this.keyOf(space, key)], []))
  }

  async getMany(space: string, keys: readonly string[]): Promise<(string | undefined)[]> {
    if (this.runner.cluster) return Promise.all(keys.map((key) => this.get(space, key)))
    const names = keys.map((key) => this.keyOf(space, key))
    const found = await this.runner.run(getRecords, names, [])
    if (!Array.isArray(found)) throw oddAnswer()
    return found.map(textOf)
  }

  async put(space: string, key: string, value: string, ttlMs?: number): Promise<void> {
    await this.runner.run(putRecord, [this.keyOf(space, key)], [value, ttlOf(ttlMs)])
  }

  async replace(
    space: string,
    key: string,
    expected: string | undefined,
    value: string,
    ttlMs?: number,
  ): Promise<boolean> {
    const was = expected === undefined ? ['0', ''] : ['1', expected]
    const args = [...was, value, ttlOf(ttlMs)]
    return isOne(await this.runner.run(replaceRecord, [this.keyOf(space, key)], args))
  }

  async delete(space: string, key: string): Promise<boolean> {
    return isOne(await this.runner.run(deleteRecord, [this.keyOf(space, key)], []))
  }

  /** A cursor is the number of a server, and where that server was left. */
  async list(space: string, cursor = '0:0'): Promise<RecordPage> {
    const [place, from] = cursor.split(':') as [string, string]
    const nodes = this.runner.nodes()
    const pattern = `${this.runner.keyPrefix}${this.prefixOf(space)}`.replace(/[\\*?[\]]/g, '\\$&')
    const answer = await nodes[Number(place)]?.run(scanRecords, [], [from, `${pattern}*`])
    if (!Array.isArray(answer)) throw oddAnswer()
    const [next, ...values] = answer.map(String)
    if (next !== '0') return { values, cursor: `${place}:${next}` }
    const following = Number(place) + 1
    return following < nodes.length ? { values, cursor: `${following}:0` } : { values }
  }

  private keyOf(space: string, key: string): string {
    return this.prefixOf(space) + hashedKey(key)
  }

  private prefixOf(space: string): string {
    return `${this.prefix}:record:${space}:`
  }
}

/** What happened once, as all processes see it. */
export class RedisOnce implements OnceStore {
  constructor(
    private readonly runner: ScriptRunner,
    private readonly prefix: string,
  ) {}

  async claim(space: string, key: string, ttlMs: number): Promise<boolean> {
    const name = `${this.prefix}:once:${space}:${hashedKey(key)}`
    return isOne(await this.runner.run(claimOnce, [name], [ttlOf(ttlMs)]))
  }
}

/** Nothing stands for no end. */
function ttlOf(ttlMs: number | undefined): string {
  return ttlMs === undefined ? '' : String(ttlMs)
}

function textOf(found: unknown): string | undefined {
  if (typeof found === 'string') return found
  if (found === null || found === undefined) return undefined
  throw oddAnswer()
}

/** Clients can be set to answer with strings. */
function isOne(answer: unknown): boolean {
  const number = Number(answer)
  if (number === 0 || number === 1) return number === 1
  throw oddAnswer()
}

function oddAnswer(): TypeError {
  return new TypeError('Redis gave an answer of another shape than the script')
}
