import { randomUUID } from 'node:crypto'
import type { Store } from '../kernel/ports.js'

/** A store under test, and a hand on its clock. */
export interface ContractStore extends Store {
  /** The clock that the store counts by, in milliseconds. */
  readonly now: () => number | Promise<number>
  /** Lets time go by on that clock: at once if it is a fake one, else by waiting until it shows so. */
  readonly pass: (ms: number) => void | Promise<void>
  readonly close?: () => unknown
}

/** Where tests are registered: what Jest, Vitest and Mocha have as globals, and `node:test` as exports. */
export interface ContractRunner {
  readonly describe: (title: string, body: () => void) => void
  readonly it: (title: string, body: () => Promise<void>) => void
}

/** Registers a test that gets a store of its own. */
export type Register<S> = (title: string, body: (store: S) => Promise<void>) => void

/** What a client could send to reach what is somebody else's, or a command. */
export const HOSTILE_KEYS = [
  '',
  ' ',
  ':',
  'a:b',
  '{a}',
  '{}',
  '}{',
  '*',
  'a\0b',
  'a\r\nFLUSHALL\r\n',
  '__proto__',
  'constructor',
  '\u00e9',
  'e\u0301',
  '\ud800',
  '0',
  '00',
  'x'.repeat(10_000),
  'x'.repeat(10_001),
]

/** Does `act` within `ms` of the store's own time; on a machine that is too slow for that, in another attempt. */
export async function within<T>(
  { now }: ContractStore,
  ms: number,
  act: (mark: string) => Promise<T>,
): Promise<T> {
  for (let attempts = 50; ; attempts--) {
    const start = await now()
    const done = await act(randomUUID())
    if (attempts === 0 || (await now()) - start < ms) return done
  }
}
