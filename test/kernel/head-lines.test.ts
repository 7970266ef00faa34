import { lineOf, textOf } from '../../src/kernel/head-lines.js'

test('a line is kept until its value is another, and put together once', () => {
  const line = lineOf('X-Kept', 'a')
  expect(textOf(line)).toBe('X-Kept: a\r\n')
  expect(lineOf('X-Kept', 'a')).toBe(line)
  expect(textOf(lineOf('X-Kept', 'b'))).toBe('X-Kept: b\r\n')
  expect(textOf(lineOf('X-Kept', 'a'))).toBe('X-Kept: a\r\n')
})

test.each([
  ['cookies', 'Set-Cookie', 'sid=secret'],
  ['lists', 'X-List', ['a']],
  ['numbers', 'X-Number', 1],
  ['long values', 'X-Long', 'a'.repeat(1_001)],
])('%s are not kept', (_what, name, value) => {
  const line = lineOf(name, value)
  expect(line.value).toBe(value)
  expect(lineOf(name, value)).not.toBe(line)
})
