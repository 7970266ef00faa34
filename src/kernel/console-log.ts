import { inspect } from 'node:util'
import { attempt } from '../lib/attempt.js'
import { printable } from '../lib/printable.js'
import type { Log } from './ports.js'

/**
 * Warnings and errors on the console. What failed may quote what a client sent, so nothing in it gets to a terminal as a
 * command, and every line but the first is indented: none can pass for an entry of its own (ASVS 16.4.1).
 */
export const consoleLog: Log = {
  info: () => undefined,
  warn: (message, details) => console.warn(entry(message, details)),
  error: (message, details) => console.error(entry(message, details)),
}

function entry(message: string, details: object | undefined): string {
  const text =
    details === undefined ? message : `${message} ${attempt(() => inspect(details), '[cannot be shown]')}`
  return `secure-api: ${text.split('\n').map(printable).join('\n  ')}`
}
