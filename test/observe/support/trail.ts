import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ORIGIN, type AuditHead, type Link } from '../../../src/observe/audit-chain.js'
import { signer, type CheckpointReason, type Signer } from '../../../src/observe/audit-checkpoint.js'
import { Draft } from '../../../src/observe/audit-draft.js'
import { eventEncoder } from '../../../src/observe/audit-encode.js'

/** A new key pair as PEM. */
export function keyPair(): { key: string; publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
  }
}

/** A directory of its own for each test, removed afterwards. */
export function scratch(): { path: (name: string) => string; write: (name: string, text: string) => string } {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'audit-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))
  const path = (name: string): string => join(directory, name)
  return {
    path,
    write(name, text) {
      writeFileSync(path(name), text)
      return path(name)
    },
  }
}

export interface Trail {
  /** Each with its line end. */
  readonly lines: string[]
  readonly head: AuditHead
}

const encodeEvent = eventEncoder()
const TIME = '2030-01-01T00:00:00.000Z'

/** A trail as the transport writes it: opened, `every` events a checkpoint, closed unless `open`. */
export function trail(
  events: readonly Record<string, unknown>[],
  {
    every = 10,
    key,
    chain = 'c'.repeat(22),
    why = 'start',
    link = ORIGIN,
    open = false,
  }: {
    every?: number
    key?: string
    chain?: string
    why?: CheckpointReason
    link?: Link
    open?: boolean
  } = {},
): Trail {
  const by: Signer | undefined = key === undefined ? undefined : signer(key)
  const draft = new Draft(link, 0, by)
  const checkpoint = (reason: CheckpointReason): void =>
    draft.checkpoint({ time: TIME, why: reason, chain, every, more: { host: 'test', pid: 1 } })
  checkpoint(why)
  for (const event of events) {
    if (draft.loose >= every) checkpoint('records')
    draft.event(encodeEvent({ kind: 'request', time: TIME, ...event }))
  }
  if (!open) checkpoint('close')
  const { seq, hash } = draft.link
  return {
    lines: draft.text
      .split('\n')
      .slice(0, -1)
      .map((line) => `${line}\n`),
    head: { chain, count: seq, hash, time: TIME },
  }
}

/** Events that differ. */
export const numbered = (count: number): Record<string, unknown>[] =>
  Array.from({ length: count }, (_, i) => ({ method: 'GET', path: `/orders/${i}` }))
