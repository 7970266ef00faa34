const touched = (): never => {
  throw new Error('canary-4111-1111: touched')
}

/** What somebody may throw, reject with or return that throws itself when it is looked at. */
export const unreadable: readonly (readonly [what: string, value: object])[] = [
  ['a revoked proxy', revoked()],
  ['a proxy that throws at each touch', new Proxy({}, { get: touched, has: touched, getPrototypeOf: touched, ownKeys: touched })], // prettier-ignore
  [
    'an object of getters that throw',
    withGetters({}, ['status', 'problem', 'then', 'name', 'message', 'constructor']),
  ],
  ['an error without a stack to be read', withGetters(new Error('hidden'), ['stack', 'name', 'status'])],
  ['a lying refusal', { problem: new Proxy({}, { has: () => true, get: touched }) }],
]

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function withGetters(target: object, names: readonly string[]): object {
  for (const name of names) Object.defineProperty(target, name, { get: touched })
  return target
}
