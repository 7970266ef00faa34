import type { Factor } from '../kernel/authentication.js'
import { isObject } from '../lib/is-object.js'

/** Members of what was read from a store, before anybody has looked at them. */
export type Unread<T> = Partial<Readonly<Record<keyof T, unknown>>>

/** What a record's text stands for; `undefined` for what is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

export function isFactor(value: unknown): value is Factor {
  if (!isObject(value)) return false
  const { method, at }: Unread<Factor> = value
  return isText(method) && Number.isFinite(at)
}
