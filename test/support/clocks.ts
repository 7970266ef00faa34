import { fakeClock, type FakeClock } from '../../src/testing/index.js'

/** Two clocks that go on together, and may say different times: that of everybody else, and that of the API. */
export function clocks() {
  const right = fakeClock()
  let off = 0
  const api: FakeClock = {
    ...right,
    now: () => right.now() + off,
    jump: (ms) => void (off += ms),
  }
  return { right, api }
}
export type Clocks = ReturnType<typeof clocks>
