/** Runs something while `Object.prototype` has members that somebody else gave it. */
export function polluted<T>(members: Readonly<Record<string, unknown>>, run: () => T): T {
  Object.assign(Object.prototype, members)
  try {
    return run()
  } finally {
    for (const name of Object.keys(members)) Reflect.deleteProperty(Object.prototype, name)
  }
}
