import { parseArgs, type ParseArgsConfig } from 'node:util'
import type { ApiKeys } from '../index.js'

/** Where a command writes: results to `out`, what is for people only to `err`. */
export interface Output {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

export interface Command {
  /** How it is called. */
  readonly usage: string
  /** What it does, in one line. */
  readonly what: string
  /** Reads the arguments before anything is opened. Gives what to do, which says whether it was done. */
  prepare(args: readonly string[]): (keys: ApiKeys, output: Output) => Promise<boolean>
}

/** The command was asked for in a wrong way. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Options and positionals of a command line. @throws UsageError for what it does not know */
export function read<T extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: T,
  positionals: number,
) {
  const parsed = parse(args, options)
  if (parsed.positionals.length === positionals) return parsed
  throw new UsageError(positionals === 0 ? 'It takes options only' : 'It takes the id of one key')
}

function parse<T extends NonNullable<ParseArgsConfig['options']>>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
  } catch {
    // Node's own sentence would repeat what was typed, which may be a secret in the wrong place.
    throw new UsageError('An option is unknown, or lacks its value')
  }
}

/** @throws UsageError for what is no whole number of at least `min` */
export function wholeNumber(option: string, text: string, min = 1): number {
  if (/^[0-9]{1,12}$/.test(text) && Number(text) >= min) return Number(text)
  throw new UsageError(`--${option} must be a whole number of at least ${min}`)
}
