import { refuse } from '../../src/kernel/problem.js'
import { problemText } from '../../src/kernel/problem-text.js'

test.each([
  'f5489e09-f87d-4c10-8509-c422f32e8181',
  'a.b_c-1',
  'a"b',
  'a\\b',
  'a\nb',
  'a\n',
  '\u00e4',
  '\u2028',
  '"},{"',
])('the id %j stands in the body as it is', (id) => {
  const text = problemText(refuse('forbidden'), 'urn:', id)
  expect(JSON.parse(text)).toMatchObject({ type: 'urn:forbidden', status: 403, request_id: id })
})

test('without an id the body has none', () => {
  expect(JSON.parse(problemText(refuse('forbidden'), 'urn:', ''))).not.toHaveProperty('request_id')
})
