import type { IncomingMessage, ServerResponse } from 'node:http'
import * as v from 'valibot'
import { z } from 'zod'
import { z as z3 } from 'zod/v3'
import { body } from '../../src/data/body.js'
import { validate, type ValidateOptions } from '../../src/data/validate.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf } from '../../src/kernel/context.js'
import type { Middleware } from '../../src/kernel/stage.js'
import { serve, type ServeOptions } from '../../src/testing/index.js'
import { listen, sendRaw } from '../support/raw.js'
import { inherited } from '../support/inherits.js'

/** Answers with everything a handler could read. */
const show = (req: IncomingMessage, res: ServerResponse) => {
  const { body, query, params } = req as { body?: unknown; query?: unknown; params?: unknown }
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify({ input: contextOf(req)?.input, body, query, params }))
}

const serving = (options: ValidateOptions, more: ServeOptions = {}) =>
  serve(validate(options), { handler: show, ...more })

interface Reply {
  status: number
  code?: string
  errors?: { in: string; pointer: string; detail: string }[]
  input?: Record<string, unknown>
  body?: unknown
  query?: unknown
  handled: number
}

async function post(options: ValidateOptions, value: unknown): Promise<Reply> {
  const served = serving(options)
  const reply = await served.post('/').set('Content-Type', 'application/json').send(JSON.stringify(value))
  return { ...(reply.body as object), status: reply.status, handled: served.handled() }
}

async function get(
  options: ValidateOptions,
  path: string,
  fields: Record<string, string> = {},
): Promise<Reply> {
  const served = serving(options)
  const reply = await served.get(path).set(fields)
  return { ...(reply.body as object), status: reply.status, handled: served.handled() }
}

const order = {
  type: 'object',
  required: ['item', 'count'],
  properties: {
    item: { type: 'string', maxLength: 20 },
    count: { type: 'integer', minimum: 1 },
    note: { type: ['string', 'null'], default: 'none' },
    tags: { type: 'array', items: { type: 'string' } },
  },
}

describe('a body (ASVS 2.2.1)', () => {
  test('that fits is handed on, with the defaults of its schema', async () => {
    const reply = await post({ body: order }, { item: 'a', count: 2 })
    const expected = { item: 'a', count: 2, note: 'none' }
    expect(reply).toMatchObject({ status: 200, input: { body: expected }, body: expected })
  })

  test('that does not is refused 422, with a JSON Pointer for each error and without a value', async () => {
    const reply = await post({ body: order }, { count: 'hunter2', note: 5, tags: ['a', 7], extra: 'hunter2' })
    expect(reply).toMatchObject({ status: 422, code: 'invalid-input', handled: 0 })
    expect(reply.errors).toEqual(
      expect.arrayContaining([
        { in: 'body', pointer: '#/item', detail: 'is required' },
        { in: 'body', pointer: '#/count', detail: 'must be integer' },
        { in: 'body', pointer: '#/note', detail: 'must be string,null' },
        { in: 'body', pointer: '#/tags/1', detail: 'must be string' },
        { in: 'body', pointer: '#/extra', detail: 'is not a known member' },
      ]),
    )
    expect(JSON.stringify(reply)).not.toContain('hunter2')
  })

  test.each([
    [{ item: 1, count: 1 }, '#/item'],
    [{ item: 'a', count: '1' }, '#/count'],
    [{ item: 'a', count: true }, '#/count'],
    [{ item: 'a', count: 1.5 }, '#/count'],
    [{ item: 'a', count: 0 }, '#/count'],
    [{ item: 'a', count: 1, tags: 'a' }, '#/tags'],
    [[], '#'],
  ])('is never converted: %j', async (value, pointer) => {
    const reply = await post({ body: order }, value)
    expect(reply).toMatchObject({ status: 422, handled: 0 })
    expect(reply.errors).toMatchObject([{ in: 'body', pointer }])
  })

  test('has pointers that RFC 6901 escapes, as a URI fragment', async () => {
    const reply = await post({ body: { type: 'object' } }, { 'a/b~c %"#\u00e9': 1 })
    expect(reply.errors).toEqual([
      { in: 'body', pointer: '#/a~1b~0c%20%25%22%23%C3%A9', detail: 'is not a known member' },
    ])
  })

  test('has pointers of bounded length', async () => {
    const long = 'a'.repeat(5_000)
    const reply = await post(
      { body: { type: 'object', properties: { b: order } } },
      { b: { [long]: 1 }, [long]: 1 },
    )
    expect(Math.max(...reply.errors!.map(({ pointer }) => pointer.length))).toBeLessThan(300)
  })

  test('that is missing is refused 422, unless a Standard Schema takes it', async () => {
    for (const schema of [order, z.object({}), v.object({})]) {
      const reply = await get({ body: schema }, '/')
      expect(reply).toMatchObject({ status: 422, handled: 0 })
      expect(reply.errors).toMatchObject([{ in: 'body', pointer: '#' }])
    }
    expect(await get({ body: z.object({}).optional() }, '/')).toMatchObject({ status: 200 })
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'x'])(
    'of type %s is refused 415 (ASVS 3.5.2)',
    async (type) => {
      const { post, handled } = serving({ body: order })
      const reply = await post('/').set('Content-Type', type).send('{"item":"a","count":1}').expect(415)
      expect(reply.body.code).toBe('unsupported-media-type')
      expect(reply.headers.accept).toBe('application/json')
      expect(handled()).toBe(0)
    },
  )

  test.each([
    ['alone', [validate({ body: order })]],
    ['behind body()', [body(), validate({ body: order })]],
  ])('is read within limits, %s', async (_where, stages) => {
    const { post, handled } = serve(stages)
    const send = (text: string) => post('/').set('Content-Type', 'application/json').send(text)
    await send('{').expect(400)
    await send('{"item":"a","item":"b","count":1}').expect(400)
    await send('{"__proto__":{},"item":"b","count":1}').expect(400)
    await send(`{"item":"${'a'.repeat(102_400)}"}`).expect(413)
    await send('['.repeat(65) + ']'.repeat(65)).expect(400)
    expect(handled()).toBe(0)
    await send('{"item":"b","count":1}').expect(200)
  })

  test('is only looked at when everything else is right', async () => {
    const { post } = serving({ query: { type: 'object' }, body: order })
    const reply = await post('/?x=1').set('Content-Type', 'application/json').send('{').expect(422)
    expect(reply.body.errors).toMatchObject([{ in: 'query', pointer: '#/x' }])
  })

  test('that is raw where a schema wants JSON is a mistake of the application: 500', async () => {
    const { post, handled } = serve([body({ parse: 'raw' }), validate({ body: order })])
    await post('/').set('Content-Type', 'application/json').send('{}').expect(500)
    await post('/').set('Content-Type', 'text/plain').send('{}').expect(415)
    expect(handled()).toBe(0)
  })
})

describe('in report mode', () => {
  test('a request that does not fit goes on, unvalidated and on record', async () => {
    const records: unknown[] = []
    const stage = validate({ body: order, query: { type: 'object' } }, { mode: 'report' })
    const { post, handled } = serve(asMiddleware(stage), {
      handler: (req, res) => {
        records.push(contextOf(req)?.reported?.map(({ problem }) => problem.code))
        res.end()
      },
    })
    await post('/?x=1').set('Content-Type', 'application/json').send('{"count":"x"}').expect(200)
    await post('/').set('Content-Type', 'text/plain').send('a').expect(200)
    expect(records).toEqual([['invalid-input'], ['unsupported-media-type']])
    expect(handled()).toBe(2)
  })

  test.each([
    ['{', 'application/json', 400],
    ['{"__proto__":{}}', 'application/json', 400],
    ['{}', 'application/json; charset=utf-7', 415],
    [`"${'a'.repeat(102_400)}"`, 'application/json', 413],
  ])(
    'a body that cannot be read within limits is refused all the same: %.20s',
    async (text, type, status) => {
      const { post, handled } = serve(asMiddleware(validate({ body: order }, { mode: 'report' })))
      await post('/').set('Content-Type', type).send(text).expect(status)
      expect(handled()).toBe(0)
    },
  )
})

/** Hides the stage, so that it keeps the mode it was given. */
const asMiddleware =
  (stage: Middleware): Middleware =>
  (req, res, next) =>
    stage(req, res, next)

describe('members that a JSON Schema does not know', () => {
  const some = { type: 'object', properties: { a: { type: 'object', properties: { b: {} } } } }

  test('are refused by default, at the root', async () => {
    for (const options of [{}, { unknown: 'reject' }] as const) {
      expect(await post({ body: some, ...options }, { a: {}, x: 1 })).toMatchObject({ status: 422 })
    }
    expect(await post({ body: some }, { a: { x: 1 } })).toMatchObject({ status: 200 })
  })

  test('are taken away on request, at the root', async () => {
    const reply = await post({ body: some, unknown: 'strip' }, { a: { x: 1 }, x: 1, y: { z: 1 } })
    expect(reply).toMatchObject({ status: 200 })
    expect(reply.body).toEqual({ a: { x: 1 } })
    expect(reply.input).toEqual({ body: { a: { x: 1 } } })
  })

  test.each([
    [{ ...some, additionalProperties: true }, 200],
    [{ ...some, additionalProperties: { type: 'string' } }, 422],
    [{ ...some, unevaluatedProperties: true }, 200],
    [{ ...some, additionalProperties: false }, 422],
  ])('follow the schema where its root speaks of them: %j', async (schema, status) => {
    for (const unknown of ['reject', 'strip'] as const) {
      const reply = await post({ body: schema, unknown }, { x: 1 })
      expect(reply.status).toBe(status)
      if (status === 200) expect(reply.body).toEqual({ x: 1 })
    }
  })

  test.each(['reject', 'strip'] as const)(
    'are told from those of branches and references (%s)',
    async (unknown) => {
      const schema = {
        $defs: { base: { type: 'object', properties: { id: { type: 'integer' } } } },
        allOf: [{ $ref: '#/$defs/base' }],
        anyOf: [
          { type: 'object', properties: { cat: { type: 'string' } }, required: ['cat'] },
          { type: 'object', properties: { dog: { type: 'string' } }, required: ['dog'] },
        ],
      }
      expect(await post({ body: schema, unknown }, { id: 1, cat: 'a' })).toMatchObject({
        body: { id: 1, cat: 'a' },
      })
      const mixed = await post({ body: schema, unknown }, { id: 1, cat: 'a', dog: 1, bird: 1 })
      if (unknown === 'reject')
        expect(mixed.errors?.map(({ pointer }) => pointer)).toEqual(['#/dog', '#/bird'])
      else expect(mixed.body).toEqual({ id: 1, cat: 'a' })
    },
  )

  test('are only those of the root where the schema refers to itself', async () => {
    const tree = { type: 'object', properties: { child: { $ref: '#' } } }
    expect(await post({ body: tree }, { child: { x: 1 } })).toMatchObject({ status: 200 })
    expect(await post({ body: tree }, { child: {}, x: 1 })).toMatchObject({ status: 422 })
  })

  test('stay where they are when the input is refused', async () => {
    const { post } = serving(
      { body: { ...some, required: ['a'] }, unknown: 'strip' },
      { enforcement: () => 'report' },
    )
    const reply = await post('/').set('Content-Type', 'application/json').send('{"x":1}').expect(200)
    expect(reply.body).toEqual({ input: {}, body: { x: 1 } })
  })

  test.each(['constructor', 'toString', 'hasOwnProperty'])(
    'include %s, and what is inherited fits nothing',
    async (name) => {
      expect(await post({ body: some }, { [name]: 1 })).toMatchObject({ status: 422 })
      expect(
        await post({ body: { ...some, required: [name], additionalProperties: true } }, {}),
      ).toMatchObject({
        status: 422,
        errors: [{ detail: 'is required' }],
      })
    },
  )
})

describe('a query', () => {
  const query = {
    type: 'object',
    properties: {
      page: { type: 'integer', minimum: 1 },
      ratio: { type: 'number' },
      all: { type: 'boolean' },
      name: { type: 'string' },
      id: { $ref: '#/$defs/ids' },
      mixed: { type: ['string', 'array'] },
      kind: { enum: [1, 2] },
    },
    $defs: { ids: { type: 'array', items: { type: 'integer' } } },
  }

  test('becomes the types its schema names, with lists only where the schema says array', async () => {
    const reply = await get({ query }, '/?page=2&ratio=-1.5e2&all=true&name=7&id=1&id=2&kind=2&mixed=a')
    const expected = { page: 2, ratio: -150, all: true, name: '7', id: [1, 2], kind: 2, mixed: 'a' }
    expect(reply).toMatchObject({ status: 200, input: { query: expected }, query: expected })
    expect((await get({ query }, '/?id=1&mixed=a&mixed=b')).query).toEqual({ id: [1], mixed: ['a', 'b'] })
  })

  test.each([
    'page=0x10',
    'page=1e400',
    'page=%201',
    'page=+1',
    'page=1.5',
    'page=',
    'page=01',
    'page=9007199254740993',
    'page=NaN',
    'ratio=Infinity',
    'ratio=.5',
    'all=1',
    'all=TRUE',
    'id=a',
    'kind=3',
    'page[]=1',
    'page[a]=1',
    'unknown=1',
    'Page=1',
  ])('is not bent into shape: ?%s is refused 422', async (search) => {
    expect(await get({ query }, `/?${search}`)).toMatchObject({
      status: 422,
      code: 'invalid-input',
      handled: 0,
    })
  })

  test.each(['page=1&page=2', 'name=a&name=a', 'unknown=1&unknown=2', 'page=1&p%61ge=2'])(
    'with a name twice is refused 400: ?%s (ASVS 15.3.7)',
    async (search) => {
      expect(await get({ query }, `/?${search}`)).toMatchObject({
        status: 400,
        code: 'duplicate-parameter',
        handled: 0,
      })
    },
  )

  test.each([
    '%',
    'name=%',
    'name=%zz',
    'name=%ff',
    'name=%c3',
    'name=%ed%a0%80',
    '__proto__=1',
    '__proto%5f_=1',
  ])('that is malformed is refused 400: ?%s', async (search) => {
    expect(await get({ query }, `/?${search}`)).toMatchObject({
      status: 400,
      code: 'malformed-parameter',
      handled: 0,
    })
  })

  test.each([
    ['', {}],
    ['?', {}],
    ['?&&', {}],
    ['?name', { name: '' }],
    ['?name=a=b', { name: 'a=b' }],
    ['?name=a+b%2Bc', { name: 'a b+c' }],
    ['?name=%C3%A9', { name: '\u00e9' }],
    ['?name=a?b', { name: 'a?b' }],
  ])('%s is %j', async (search, expected) => {
    expect((await get({ query }, `/${search}`)).query).toEqual(expected)
  })

  test('inherits nothing', async () => {
    let seen: unknown
    const { get } = serving(
      { query },
      {
        handler: (req, res) => {
          seen = (req as { query?: unknown }).query
          res.end()
        },
      },
    )
    await get('/?name=a').expect(200)
    expect(inherited(seen)).toEqual([])
  })

  test('without a schema is left alone', async () => {
    expect(await get({ headers: { type: 'object' } }, '/?a=1&a=2&%')).toMatchObject({ status: 200 })
  })

  test('may lose what the schema does not know', async () => {
    expect((await get({ query, unknown: 'strip' }, '/?page=1&x=2')).query).toEqual({ page: 1 })
  })
})

describe('headers and cookies', () => {
  const headers = {
    type: 'object',
    required: ['x-tenant'],
    properties: {
      'x-tenant': { type: 'string', pattern: '^[a-z]+$' },
      'x-count': { type: 'integer' },
      'x-list': { type: 'array' },
    },
  }
  const cookies = {
    type: 'object',
    properties: { theme: { enum: ['dark', 'light'] }, n: { type: 'integer' } },
    required: ['theme'],
  }

  test('of other names are neither refused nor in the result', async () => {
    const fields = {
      'X-Tenant': 'a',
      'X-Count': '3',
      Authorization: 'Bearer secret',
      Cookie: 'theme=dark; sid=secret',
    }
    const reply = await get({ headers, cookies }, '/', fields)
    expect(reply.input).toEqual({
      headers: { 'x-tenant': 'a', 'x-count': 3 },
      cookies: { theme: 'dark' },
    })
  })

  test('that do not fit are refused 422', async () => {
    const reply = await get({ headers, cookies }, '/', { 'X-Tenant': 'A', Cookie: 'theme=blue' })
    expect(reply).toMatchObject({ status: 422, handled: 0 })
    expect(reply.errors).toMatchObject([
      { in: 'headers', pointer: '#/x-tenant' },
      { in: 'cookies', pointer: '#/theme' },
    ])
  })

  test.each([
    ['X-Tenant: a\r\nX-Tenant: b', 400],
    ['X-Tenant: a\r\nX-List: a\r\nX-List: b', 200],
    ['X-Tenant: a\r\nX-Other: a\r\nX-Other: b', 200],
  ])('header fields that come twice: %j is %i', async (fields, status) => {
    const { server } = serving({ headers })
    await listen(server)
    const reply = await sendRaw(server, `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n\r\n`)
    server.close()
    expect(reply.status).toBe(status)
    if (status === 400) expect(reply.body).toContain('duplicate-parameter')
  })

  test.each([
    ['theme=dark; theme=dark', 400],
    ['theme=%', 400],
    ['theme=dark; other=%; other=%; nameless; =x', 200],
    ['theme="dark"', 200],
    ['theme=d%61rk', 200],
    ['theme=dark;n=1', 200],
    ['theme=dark; n=x', 422],
    ['Theme=dark', 422],
    ['', 422],
  ])('Cookie: %s is %i', async (field, status) => {
    expect((await get({ cookies }, '/', { Cookie: field })).status).toBe(status)
  })

  test('names with capitals describe nothing that ever comes, and do not start', () => {
    const schema = { type: 'object', properties: { 'X-Tenant': { type: 'string' } } }
    expect(() => validate({ headers: schema })).toThrow(
      'validate.headers names "X-Tenant"; write it in lower case',
    )
  })

  test('an open schema of headers sees all of them', async () => {
    const open = { type: 'object', patternProperties: { '^x-': { type: 'string', maxLength: 3 } } }
    expect(await get({ headers: open }, '/', { 'X-A': 'aaaa' })).toMatchObject({ status: 422 })
    expect(await get({ headers: open }, '/', { 'X-A': 'aaa' })).toMatchObject({
      input: { headers: { 'x-a': 'aaa' } },
    })
  })
})

describe('a Standard Schema', () => {
  const zodOrder = z.object({
    item: z.string().trim().max(20),
    count: z.int().positive(),
    tags: z.array(z.string()).default([]),
  })
  const valibotOrder = v.object({
    item: v.pipe(v.string(), v.trim(), v.maxLength(20)),
    count: v.pipe(v.number(), v.integer(), v.minValue(1)),
    tags: v.optional(v.array(v.string()), []),
  })

  test.each([
    ['zod', zodOrder],
    ['valibot', valibotOrder],
  ])('of %s: its output is used, by its own rule for unknown members', async (_vendor, schema) => {
    const reply = await post({ body: schema }, { item: ' a ', count: 1, extra: 1 })
    expect(reply).toMatchObject({ status: 200 })
    expect(reply.body).toEqual({ item: 'a', count: 1, tags: [] })
    expect(reply.input).toEqual({ body: { item: 'a', count: 1, tags: [] } })
  })

  test.each([
    ['zod', zodOrder],
    ['valibot', valibotOrder],
    ['ArkType-like', arkLike()],
  ])('of %s: errors have pointers, and never the value', async (_vendor, schema) => {
    const reply = await post({ body: schema }, { item: 5, count: 'hunter2', tags: [{ password: 'hunter2' }] })
    expect(reply).toMatchObject({ status: 422, code: 'invalid-input', handled: 0 })
    expect(reply.errors).toMatchObject([
      { pointer: '#/item' },
      { pointer: '#/count' },
      { pointer: '#/tags/0' },
    ])
    expect(JSON.stringify(reply)).not.toContain('hunter2')
  })

  test.each([
    ['zod', z.strictObject({ a: z.string() })],
    ['valibot', v.strictObject({ a: v.string() })],
  ])('of %s that is strict names each unknown member', async (_vendor, schema) => {
    const reply = await post({ body: schema }, { a: 'a', 'x/y': 1, z: 'hunter2' })
    expect(reply.status).toBe(422)
    expect(reply.errors![0]).toEqual({ in: 'body', pointer: '#/x~1y', detail: 'is not a known member' })
    expect(JSON.stringify(reply)).not.toContain('hunter2')
  })

  test('of valibot says what it expected', async () => {
    const schema = v.object({ a: v.pipe(v.string(), v.email()), b: v.picklist(['x', 'y']) })
    const reply = await post({ body: schema }, { a: 'hunter2', b: 'hunter2' })
    expect(reply.errors).toEqual([
      { in: 'body', pointer: '#/a', detail: 'does not pass "email"' },
      { in: 'body', pointer: '#/b', detail: 'must be ("x" | "y")' },
    ])
    expect((await post({ body: schema }, { b: 'x' })).errors).toEqual([
      { in: 'body', pointer: '#/a', detail: 'is required' },
    ])
  })

  test('may be asynchronous', async () => {
    const schema = z.object({ name: z.string().refine((name) => Promise.resolve(name !== 'taken')) })
    expect(await post({ body: schema }, { name: 'free' })).toMatchObject({
      status: 200,
      body: { name: 'free' },
    })
    expect(await post({ body: schema }, { name: 'taken' })).toMatchObject({
      status: 422,
      errors: [{ pointer: '#/name' }],
    })
  })

  describe('decides by its issues alone, in whatever shape they come', () => {
    const answering = (answer: unknown) => ({
      '~standard': { version: 1 as const, vendor: 'zod', validate: () => answer as never },
    })
    const value = { role: 'admin' }
    const { proxy, revoke } = Proxy.revocable<never[]>([], {})
    revoke()

    test.each([
      ['an empty list', { issues: [] }],
      ['an empty list beside a value', { issues: [], value }],
      ['an issue beside a value', { issues: [{ message: 'no' }], value }],
      ['null', { issues: null, value }],
      ['false', { issues: false, value }],
      ['a text', { issues: 'no', value }],
      ['an object like a list', { issues: { length: 0 }, value }],
      [
        'a getter',
        {
          get issues() {
            return []
          },
          value,
        },
      ],
      ['an inherited list', Object.create({ issues: [], value })],
      ['a list of nothing', { issues: [null, undefined, 5] }],
      ['a list with a hole', { issues: new Array(1) }],
      ['no names of unknown members', { issues: [{ code: 'unrecognized_keys', keys: [], message: 'no' }] }],
      ['a message that is no text', { issues: [{ message: 5, path: 'x' }] }],
      ['odd paths', { issues: [{ message: 'no', path: [Symbol('x'), { key: 1 }, null] }] }],
      ['a promise of an empty list', Promise.resolve({ issues: [] })],
    ])('%s is 422', async (_what, answer) => {
      for (const part of ['body', 'query', 'headers'] as const) {
        const { status, code, errors, handled } = await post({ [part]: answering(answer) }, { role: 'admin' })
        expect({ status, code, handled }).toEqual({ status: 422, code: 'invalid-input', handled: 0 })
        expect(errors!.length).toBeGreaterThan(0)
        expect(errors![0]).toMatchObject({ in: part, pointer: expect.stringMatching(/^#/) as unknown })
      }
    })

    test.each([
      ['nothing', undefined],
      ['null', null],
      ['true', true],
      ['an empty object', {}],
      ['a list', []],
      ['the value itself', { role: 'admin' }],
      [
        'a getter that throws',
        {
          get issues() {
            throw new Error('secret')
          },
          value,
        },
      ],
      ['issues that are gone', { issues: proxy }],
      [
        'a value that throws',
        {
          get value() {
            throw new Error('secret')
          },
        },
      ],
    ])('%s is no answer: 500', async (_what, answer) => {
      const { status, code, handled } = await post({ body: answering(answer) }, { role: 'admin' })
      expect({ status, code, handled }).toEqual({ status: 500, code: 'broken', handled: 0 })
    })

    test('undefined issues and a value, undefined too, are valid', async () => {
      expect(await post({ body: answering({ issues: undefined, value }) }, {})).toMatchObject({
        status: 200,
        body: value,
      })
      expect(await post({ headers: answering({ value: undefined }) }, {})).toMatchObject({ status: 200 })
    })
  })

  test('is asked which members are lists only of what arrives as text', () => {
    const asked: string[] = []
    const describing = (part: string) => ({
      '~standard': {
        version: 1 as const,
        vendor: 'own',
        validate: (value: unknown) => ({ value }),
        jsonSchema: { input: () => (asked.push(part), {}) },
      },
    })
    const parts = ['params', 'query', 'headers', 'cookies', 'body']
    validate(Object.fromEntries(parts.map((part) => [part, describing(part)])))
    expect(asked).toEqual(['params', 'query', 'headers', 'cookies'])
  })

  test('of zod 3: what its message would quote is told from the schema', async () => {
    const schema = z3.object({
      plan: z3.enum(['free', 'paid']),
      size: z3.nativeEnum({ S: 's', Large: 3 } as const),
      kind: z3.literal('a'),
      note: z3.string().max(3, 'is too long'),
    })
    const sent = '<script>hunter2</script>'
    const reply = await post({ body: schema }, { plan: sent, size: sent, kind: sent, note: sent })
    expect(reply).toMatchObject({ status: 422, handled: 0 })
    expect(JSON.stringify(reply)).not.toContain('hunter2')
    expect(reply.errors).toEqual([
      { in: 'body', pointer: '#/plan', detail: 'Expected "free" | "paid"' },
      { in: 'body', pointer: '#/size', detail: 'Expected "s" | 3' },
      { in: 'body', pointer: '#/kind', detail: 'Invalid literal value, expected "a"' },
      { in: 'body', pointer: '#/note', detail: 'is too long' },
    ])
  })

  test('that gives no answer in time, throws or rejects is broken: 500', async () => {
    const asynchronous = (answer: () => unknown) => ({
      '~standard': { version: 1 as const, vendor: 'own', validate: answer as never },
    })
    const errors: unknown[] = []
    const log = {
      info: () => undefined,
      warn: () => undefined,
      error: (...line: unknown[]) => errors.push(line),
    }
    for (const answer of [
      () => {
        throw new Error('secret')
      },
      () => Promise.reject(new Error('secret')),
    ]) {
      const { get, handled } = serving({ query: asynchronous(answer) }, { log })
      const reply = await get('/').expect(500)
      expect(reply.text).not.toContain('secret')
      expect(handled()).toBe(0)
    }

    let asked: () => void = () => undefined
    const waiting = new Promise<void>((resolve) => (asked = resolve))
    const never = asynchronous(() => {
      asked()
      return new Promise(() => undefined)
    })
    const { get, clock, handled } = serving({ query: never, timeoutMs: 50 }, { log })
    const reply = get('/').then((answer) => answer.status)
    await waiting
    clock.advance(50)
    expect(await reply).toBe(500)
    expect(handled()).toBe(0)
    expect(JSON.stringify(errors.at(-1))).toContain('broken')
  })

  test('of zod says itself which query parameters are lists', async () => {
    const query = z.object({ id: z.array(z.string()).optional(), page: z.coerce.number().optional() })
    expect((await get({ query }, '/?id=1&page=3')).query).toEqual({ id: ['1'], page: 3 })
    expect((await get({ query }, '/?id=1&id=2')).query).toEqual({ id: ['1', '2'] })
    expect(await get({ query }, '/?page=1&page=2')).toMatchObject({
      status: 400,
      code: 'duplicate-parameter',
    })
  })

  test('of zod that cannot all be described still says which parameters are lists', async () => {
    const query = z.object({ id: z.array(z.string()), at: z.date().optional() })
    expect((await get({ query }, '/?id=1')).query).toEqual({ id: ['1'] })
  })

  test('of valibot is told which query parameters are lists', async () => {
    const query = v.object({ id: v.array(v.string()) })
    expect((await get({ query, queryLists: ['id'] }, '/?id=1')).query).toEqual({ id: ['1'] })
    expect(await get({ query }, '/?id=1&id=2')).toMatchObject({ status: 400, code: 'duplicate-parameter' })
  })

  test('judges headers and cookies', async () => {
    const options = {
      headers: z.object({ 'x-tenant': z.string() }),
      cookies: v.object({ theme: v.string() }),
    }
    const reply = await get(options, '/', { 'X-Tenant': 'a', Cookie: 'theme=dark', Authorization: 'secret' })
    expect(reply.input).toEqual({ headers: { 'x-tenant': 'a' }, cookies: { theme: 'dark' } })
    expect(await get(options, '/', { Cookie: 'theme=a; theme=b', 'X-Tenant': 'a' })).toMatchObject({
      status: 400,
    })
  })
})

/** Answers as ArkType does: a function with messages that quote the value. */
function arkLike() {
  const issue = (path: PropertyKey[]) => ({ message: 'must be a number (was "hunter2")', path })
  const issues = [issue(['item']), issue(['count']), issue(['tags', 0])]
  return Object.assign(() => undefined, {
    '~standard': { version: 1 as const, vendor: 'arktype', validate: () => ({ issues }) },
  })
}

describe('errors are bounded', () => {
  const list = { type: 'object', properties: { list: { type: 'array', items: { type: 'string' } } } }
  const numbers = (count: number) => ({ list: Array.from({ length: count }, (_, i) => i) })

  test('in number', async () => {
    expect((await post({ body: list }, numbers(100))).errors).toHaveLength(20)
    expect((await post({ body: list, maxErrors: 3 }, numbers(100))).errors).toHaveLength(3)
    expect((await post({ body: list, maxErrors: 1 }, numbers(100))).errors).toHaveLength(1)
    const zodList = z.object({ list: z.array(z.string()) })
    expect((await post({ body: zodList, maxErrors: 3 }, numbers(100))).errors).toHaveLength(3)
    const strict = z.strictObject({})
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, 1]))
    expect((await post({ body: strict, maxErrors: 3 }, many)).errors).toHaveLength(3)
  })

  test('over all parts together', async () => {
    const reply = await get(
      { query: { type: 'object' }, cookies: { type: 'object', required: ['a', 'b'] }, maxErrors: 2 },
      '/?x=1',
    )
    expect(reply.errors).toMatchObject([
      { in: 'query', pointer: '#/x' },
      { in: 'cookies', pointer: '#/a' },
    ])
  })

  test('to the first one where the input is large, however many there are', async () => {
    expect((await post({ body: list }, numbers(254))).errors).toHaveLength(20)
    expect((await post({ body: list }, numbers(255))).errors).toHaveLength(1)
    const many = Array.from({ length: 300 }, (_, i) => `k${i}=1`).join('&')
    expect((await get({ query: { type: 'object' } }, `/?${many}`)).errors).toHaveLength(1)
  })
})

test('a body as deep as allowed does not exhaust a recursive schema', async () => {
  const schema = { type: 'object', properties: { child: { $ref: '#' } }, unevaluatedProperties: false }
  let deep: object = {}
  for (let i = 0; i < 63; i++) deep = { child: deep }
  expect(await post({ body: schema }, deep)).toMatchObject({ status: 200 })
  expect(await post({ body: schema }, { child: deep })).toMatchObject({ status: 400, code: 'malformed-body' })
  const deepest = serve([body({ maxDepth: 512 }), validate({ body: schema })])
  for (let i = 0; i < 448; i++) deep = { child: deep }
  await deepest.post('/').set('Content-Type', 'application/json').send(JSON.stringify(deep)).expect(200)
})

describe('two validations on one request add up', () => {
  const stages = (...all: ValidateOptions[]) =>
    serve(
      all.map((options) => validate(options)),
      { handler: show },
    )
  const props = (...names: string[]) => ({
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, { type: 'integer' }])),
  })

  test('what each lets through is shown', async () => {
    const open = (name: string) => ({ ...props(name), additionalProperties: true })
    const { get } = stages({ query: open('a') }, { query: open('b') })
    const reply = await get('/?a=1&b=2').expect(200)
    expect(reply.body.query).toMatchObject({ a: 1, b: 2 })
    await get('/?a=x&b=2').expect(422)
    await get('/?a=1&b=x').expect(422)
  })

  test('the later one brings nothing back that the earlier one took away', async () => {
    const { get } = stages({ query: props('a'), unknown: 'strip' }, { query: props('a', 'b') })
    expect((await get('/?a=1&b=2').expect(200)).body.query).toEqual({ a: 1 })
  })

  test('a body goes through both', async () => {
    const { post } = stages(
      { body: z.object({ a: z.string().transform(Number) }) },
      { body: { ...props('a'), required: ['a'] } },
    )
    const reply = await post('/').set('Content-Type', 'application/json').send('{"a":"5"}').expect(200)
    expect(reply.body.body).toEqual({ a: 5 })
  })

  test('headers and cookies of both are in the result', async () => {
    const { get } = stages({ headers: props('x-a') }, { headers: props('x-b') })
    const reply = await get('/').set({ 'x-a': '1', 'x-b': '2' }).expect(200)
    expect(reply.body.input.headers).toEqual({ 'x-a': 1, 'x-b': 2 })
  })
})

describe('formats and keywords', () => {
  test.each([
    ['email', 'a@example.com', 'a@'],
    ['uuid', '2b1f3c1e-7a6e-4f0e-9c39-0d0b8f5d6a11', '2b1f'],
    ['date-time', '2030-01-01T00:00:00Z', '2030-01-01'],
    ['ipv4', '10.0.0.1', '10.0.0.256'],
    ['url', 'https://example.com/a?b', 'javascript:alert(1)'],
    ['url', 'ftp://a', 'https://a b'],
    ['uri', 'urn:a:b', 'a b'],
  ])('%s: takes %s and refuses %s', async (format, good, bad) => {
    const schema = { type: 'object', properties: { a: { type: 'string', format } } }
    expect((await post({ body: schema }, { a: good })).status).toBe(200)
    expect((await post({ body: schema }, { a: bad })).status).toBe(422)
  })

  test('uniqueItems compares as JSON Schema does', async () => {
    const schema = { type: 'array', uniqueItems: true }
    const status = async (value: unknown) => (await post({ body: schema }, value)).status
    expect(
      await status([
        { a: 1, b: [2] },
        { b: [2], a: 1 },
      ]),
    ).toBe(422)
    expect(await status([1, 1.0])).toBe(422)
    expect(await status(['1', 1, true, 'true', null, 'null', [], {}, [[]], '[]', { a: '1' }, { a: 1 }])).toBe(
      200,
    )
  })
})

test.each([
  [{}, 'validate needs a schema for at least one of params, query, headers, cookies, body'],
  [{ bodi: {} }, 'validate has no option "bodi". Did you mean "body"?'],
  [
    { body: 'object' },
    'validate.body must be an object that is a JSON Schema, or a Standard Schema, got a string of 6 characters',
  ],
  [{ body: true }, 'validate.body must be an object that is a JSON Schema'],
  [{ body: { type: 'objct' } }, 'validate.body is no JSON Schema that can be used: "/type"'],
  [{ body: { type: 'object', propertis: {} } }, 'unknown keyword: "propertis"'],
  [{ query: { type: 'object', properties: { a: { type: 'string', format: 'emial' } } } }, 'validate.query'],
  [{ body: { properties: { a: {} } } }, 'missing type "object" for keyword "properties"'],
  [{ body: { type: 'object', properties: { a: { minimum: 1 } } } }, 'missing type "number"'],
  [{ body: { $ref: '#/$defs/missing' } }, "can't resolve reference"],
  [{ body: { $schema: 'http://json-schema.org/draft-07/schema#' } }, 'its dialect must be'],
  [{ body: { type: 'string', pattern: '(' } }, 'validate.body'],
  [{ body: { $async: true, type: 'object', additionalProperties: true } }, '"$async" is not supported'],
  [{ body: { $async: true, type: 'object' } }, 'validate.body'],
  [{ body: {}, unknown: 'drop' }, "validate.unknown must be one of 'reject', 'strip'"],
  [{ body: {}, maxErrors: 0 }, 'validate.maxErrors'],
  [{ body: {}, timeoutMs: 0 }, 'validate.timeoutMs'],
  [{ query: {}, queryLists: 'id' }, 'validate.queryLists must list names'],
  [{ body: { '~standard': { version: 2 } } }, 'a Standard Schema of an unknown version'],
])('%j does not start', (options, message) => {
  const start = () => validate(options as ValidateOptions)
  expect(start).toThrow(ConfigError)
  expect(start).toThrow(message)
})

test('takes a schema that names its dialect', async () => {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://a.example/b',
    ...order,
  }
  expect(await post({ body: schema }, { item: 'a', count: 1 })).toMatchObject({ status: 200 })
})

test('describes itself', () => {
  const { stage } = validate({ query: { type: 'object' }, body: z.object({}) })
  expect(stage.describe?.()).toEqual({
    parts: { query: 'json-schema', body: 'zod' },
    unknown: 'reject',
    maxErrors: 20,
  })
})

test('is ready once it has prepared what a first refusal needs', async () => {
  const { stage } = validate({ body: order })
  await expect(stage.ready?.(undefined as never)).resolves.toBeUndefined()
})
