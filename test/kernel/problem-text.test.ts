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

const own = { errors: [{ pointer: '/a', detail: 'b' }], left: undefined }

class WithJson {
  readonly a = 1
  toJSON(): unknown {
    return { status: 200 }
  }
}

test.each<[string, unknown]>([
  ['of its own', own],
  ['null', null],
  ['false, as of a condition', false],
  ['a number', 0],
  ['a text', 'ab'],
  ['a list', [1, 2]],
  ['a date', new Date(0)],
  ['an object that says what it is in JSON', new WithJson()],
  ['one that hides that it does', Object.defineProperty({ a: 1 }, 'toJSON', { value: () => ({ b: 2 }) })],
  ['a function with members', Object.assign(() => 1, { a: 1 })],
  ['an accessor', Object.defineProperty({}, 'a', { enumerable: true, get: () => 1 })],
  ['what is inherited', Object.create({ a: 1 })],
  ['none', {}],
  ['nothing that JSON has', { left: undefined }],
  ['its detail', { detail: 'another', ...own }],
  ['its id', { request_id: 'another' }],
  ['no id', { request_id: undefined }],
  ['its type', { type: 'another', ...own }],
  ['a name that JSON has for another thing', { toJSON: 'text', ...own }],
  ['quotes', { 'a"}': '"},{' }],
])('members of a problem are as in one object: %s', (_what, members) => {
  const problem = refuse('forbidden', { members: members as Record<string, unknown>, detail: 'why' })
  for (const id of ['an-id', '']) {
    const request_id = id === '' ? undefined : id
    const { title, status, code, detail } = problem
    const whole = { type: `urn:${code}`, title, status, code, detail, request_id, ...(members as object) }
    const text = problemText(problem, 'urn:', id)
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(whole)))
    // Nothing stands in it twice.
    expect(text).toHaveLength(JSON.stringify(whole).length)
  }
})
