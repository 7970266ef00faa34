import { retryAfter } from '../../src/lib/retry-after.js'

test.each([
  [0, '1'],
  [1, '1'],
  [1000, '1'],
  [1001, '2'],
  [59_999.5, '60'],
])('%d ms are %s seconds, never early', (ms, seconds) => {
  expect(retryAfter(ms)).toBe(seconds)
})
