import type { Later, Store } from '../../src/kernel/ports.js'

/**
 * A store that counts how often somebody has to wait for it. No answer comes before all that is asked without one: what is asked
 * at the same time is one way there and back, and what is asked of an answer is one more.
 */
export function inRoundTrips<S extends Store>(store: S) {
  let trips = 0
  let asked: Promise<unknown>[] = []
  let open: Promise<void> | undefined
  const answered = async () => {
    for (let seen = 0; seen < asked.length;) {
      seen = asked.length
      await Promise.allSettled(asked)
      await turn()
    }
    asked = []
    open = undefined
  }
  const ask = <T>(question: () => Later<T>): Promise<T> => {
    const answer = Promise.resolve(question())
    asked.push(answer)
    if (open === undefined) {
      trips++
      open = answered()
    }
    return open.then(() => answer)
  }
  const around = <P extends object>(port: P): P =>
    new Proxy(port, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return (...given: unknown[]) => ask(() => Reflect.apply(member, target, given) as Later<unknown>)
      },
    })
  const ports = Object.entries(store).map(([name, port]) => [name, around(port as object)])
  return { store: Object.fromEntries(ports) as S, trips: () => trips }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
