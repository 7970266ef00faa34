import { MemoryCounters } from '../../src/kernel/memory.js'
import { fakeClock, storeContract } from '../../src/testing/index.js'

storeContract('memory', () => {
  const clock = fakeClock()
  return { counters: new MemoryCounters(), now: clock.monotonic, pass: clock.advance }
})
