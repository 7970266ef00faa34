import { memory } from '../../src/kernel/memory.js'
import { fakeClock, storeContract } from '../../src/testing/index.js'

storeContract('memory', () => {
  const clock = fakeClock()
  return { ...memory({ clock }), now: clock.monotonic, pass: clock.advance }
})
