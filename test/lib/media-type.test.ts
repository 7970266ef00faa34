import { isJsonType, parseMediaType } from '../../src/lib/media-type.js'

test.each([
  ['application/json', 'application/json', undefined],
  ['Application/JSON', 'application/json', undefined],
  ['application/json;charset=UTF-8', 'application/json', 'utf-8'],
  ['application/json ; charset="utf-8" ; q=1', 'application/json', 'utf-8'],
  ['application/json; a="b;charset=utf-7"', 'application/json', undefined],
  ['application/json; a="\\";charset=utf-7"', 'application/json', undefined],
  ['application/json;', 'application/json', undefined],
  ['application/json;; charset=utf-8', 'application/json', 'utf-8'],
  ['text/plain', 'text/plain', undefined],
  ['application/vnd.a+json', 'application/vnd.a+json', undefined],
])('reads %s', (field, essence, charset) => {
  expect(parseMediaType(field)).toEqual({ essence, charset })
})

test.each([
  '',
  'json',
  'application/',
  '/json',
  'application/json/x',
  'application/json, text/plain',
  'application /json',
  'application/json; charset',
  'application/json; charset=',
  'application/json; charset = utf-8',
  'application/json; charset=utf-8 x',
  'application/json; charset="utf-8',
  'application/json; charset="utf-8"x',
  'application/json; charset=utf-8; charset=utf-16',
  'application/json\u0000',
])('refuses %p rather than guess', (field) => {
  expect(parseMediaType(field)).toBeUndefined()
})

test('JSON is application/json and application/*+json, and nothing that merely contains the word', () => {
  const isJson = (field: string) => isJsonType(parseMediaType(field)!)
  expect(['application/json', 'application/problem+json', 'application/x+json'].filter(isJson)).toHaveLength(
    3,
  )
  const others = [
    'text/json',
    'application/jsonp',
    'application/x-json',
    'text/plain+json',
    'application/+jsonx',
  ]
  expect(others.filter(isJson)).toEqual([])
})

test('a field that is longer than any media type is none', () => {
  const padded = (length: number) => `application/json;a="${'x'.repeat(length - 21)}"`

  expect(padded(1_000)).toHaveLength(1_000)
  expect(parseMediaType(padded(1_000))).toMatchObject({ essence: 'application/json' })
  expect(parseMediaType(padded(1_001))).toBeUndefined()
})
