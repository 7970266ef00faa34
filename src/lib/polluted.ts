import { BareRecord } from './bare.js'

/**
 * Has no members, so that whatever is read of it was given to all objects, by a polluted `Object.prototype`. To read it costs nothing: V8
 * knows the answer until somebody does that.
 */
export const EMPTY: Readonly<Record<string, unknown>> = Object.freeze({})

/** What an object has itself, without what it inherits. */
export function ownMembers<T extends object>(object: T): T {
  return Object.assign(new BareRecord<unknown>(), object)
}
