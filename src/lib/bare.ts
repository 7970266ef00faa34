/** What all bare records inherit: nothing. */
const NOTHING = Object.freeze(Object.create(null) as object)

/**
 * A record that inherits nothing, so that every name is just a name, `__proto__` too. `Object.create(null)` would do as
 * well, but V8 makes a hash table of that, which is several times slower to make and to list.
 */
export const BareRecord = function () {} as unknown as new <T>() => Record<string, T>
BareRecord.prototype = NOTHING
