import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf } from '../../src/kernel/context.js'
import { refuse } from '../../src/kernel/problem.js'
import { defineStage } from '../../src/kernel/define.js'
import { requestId, type RequestIdOptions } from '../../src/observe/request-id.js'
import { serve } from '../../src/testing/index.js'
import { sendRaw } from '../support/raw.js'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** Answers with what the handler sees. */
function served(options?: RequestIdOptions) {
  return serve(requestId(options), {
    handler: (req, res) => {
      const { id, traceparent } = contextOf(req)!
      res.end(JSON.stringify({ id, traceparent }))
    },
  })
}

describe('by default', () => {
  test.each([undefined, {}])(
    'gives each request an id of its own, to the handler and in the reply (%s)',
    async (options) => {
      const { get } = served(options)

      const first = await get('/').expect(200)
      const second = await get('/').expect(200)

      expect(first.headers['x-request-id']).toMatch(UUID)
      expect(JSON.parse(first.text)).toEqual({
        id: first.headers['x-request-id'],
        traceparent: first.headers['traceparent'],
      })
      expect(second.headers['x-request-id']).not.toBe(first.headers['x-request-id'])
    },
  )

  test('does not believe an id that the client sends', async () => {
    const reply = await served().get('/').set('X-Request-Id', 'chosen-by-client')
    expect(reply.headers['x-request-id']).toMatch(UUID)
  })

  test('continues a valid trace with a span of its own, and keeps its sampled flag', async () => {
    const reply = await served().get('/').set('traceparent', `00-${TRACE}-${SPAN}-01`)
    const [version, trace, span, flags] = String(reply.headers['traceparent']).split('-')
    expect([version, trace, flags]).toEqual(['00', TRACE, '01'])
    expect(span).toMatch(/^[0-9a-f]{16}$/)
    expect(span).not.toBe(SPAN)
  })

  test.each(['nonsense', `00-${'0'.repeat(32)}-${SPAN}-01`, `00-${TRACE.toUpperCase()}-${SPAN}-01`])(
    'begins a new trace instead of %s, and refuses nothing',
    async (traceparent) => {
      const reply = await served().get('/').set('traceparent', traceparent).expect(200)
      expect(reply.headers['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
      expect(reply.headers['traceparent']).not.toContain(TRACE)
    },
  )

  test('begins a new trace when the client sends two', async () => {
    const { server } = served()
    const traceparent = `traceparent: 00-${TRACE}-${SPAN}-01`
    const head = ['GET / HTTP/1.1', 'Host: a', 'Connection: close', traceparent, traceparent, '', '']
    const reply = await sendRaw(server, head.join('\r\n'))
    expect(reply.status).toBe(200)
    expect(reply.head).toMatch(/traceparent: 00-/)
    expect(reply.head).not.toContain(TRACE)
  })
})

describe('with trustIncoming', () => {
  test.each(['7f3a', 'a'.repeat(128), 'Root=1-67891233-abcdef012345678912345678', 'a.b_c~d:e+f/g='])(
    'takes %s over',
    async (id) => {
      const reply = await served({ trustIncoming: true }).get('/').set('X-Request-Id', id)
      expect(reply.headers['x-request-id']).toBe(id)
    },
  )

  test.each(['a'.repeat(129), 'two words', 'a,b', '<script>', 'caf\u00e9', '"quoted"', '{}', ''])(
    'makes a new id instead of %j',
    async (id) => {
      const reply = await served({ trustIncoming: true }).get('/').set('X-Request-Id', id)
      expect(reply.headers['x-request-id']).toMatch(UUID)
    },
  )

  test('reads the header that is configured', async () => {
    const { get } = served({ trustIncoming: true, header: 'X-Correlation-Id' })
    const reply = await get('/').set('X-Correlation-Id', 'from-gateway').set('X-Request-Id', 'other')
    expect(reply.headers['x-correlation-id']).toBe('from-gateway')
    expect(reply.headers['x-request-id']).toBeUndefined()
  })

  test('is named by findings, and only then', () => {
    expect(
      requestId({ trustIncoming: true })
        .stage.findings()
        .map(({ code }) => code),
    ).toEqual(['request-id-trusted'])
    expect(requestId().stage.findings()).toEqual([])
  })
})

test('restart begins a new trace whatever the client sends', async () => {
  const reply = await served({ trace: 'restart' }).get('/').set('traceparent', `00-${TRACE}-${SPAN}-01`)
  expect(reply.headers['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
  expect(reply.headers['traceparent']).not.toContain(TRACE)
})

test('trace false neither reads nor writes trace context', async () => {
  const reply = await served({ trace: false }).get('/').set('traceparent', `00-${TRACE}-${SPAN}-01`)
  expect(reply.headers['traceparent']).toBeUndefined()
  expect(JSON.parse(reply.text).traceparent).toBe('')
})

test('header false keeps the id inside', async () => {
  const reply = await served({ header: false }).get('/')
  expect(reply.headers['x-request-id']).toBeUndefined()
  expect(JSON.parse(reply.text).id).toMatch(UUID)
})

test('sampled asks for new traces to be recorded', async () => {
  const reply = await served({ sampled: true }).get('/')
  expect(reply.headers['traceparent']).toMatch(/-01$/)
})

test('a request that meets it twice keeps its first id', async () => {
  const { get } = serve([requestId(), requestId({ header: 'X-Second' })])
  const { headers } = await get('/')
  expect(headers['x-second']).toBe(headers['x-request-id'])
})

test('a refusal carries the id in its header and its body', async () => {
  const refusing = defineStage('refusing', () => ({ enter: () => refuse('forbidden') }))
  const reply = await serve([requestId(), refusing()]).get('/').expect(403)
  expect(JSON.parse(reply.text).request_id).toBe(reply.headers['x-request-id'])
})

test.each<[string, unknown]>([
  ['requestId.trustIncoming', { trustIncoming: 'yes' }],
  ['requestId.header', { header: '' }],
  ['requestId.header', { header: 'X Request' }],
  ['requestId.header', { header: 'X-Id\r\nSet-Cookie' }],
  ['requestId.header', { header: true }],
  ...[
    'Content-Length',
    'transfer-encoding',
    'Connection',
    'Set-Cookie',
    'Location',
    'Sec-Fetch-Site',
    'Access-Control-Allow-Origin',
  ].map((header): [string, unknown] => [
    `requestId.header cannot be ${header}, which has another meaning`,
    { header },
  ]),
  ['requestId.header', { header: false, trustIncoming: true }],
  ['requestId.trace', { trace: true }],
  ['requestId.sampled', { sampled: 1 }],
  ['"trustIncomming"', { trustIncomming: true }],
  ['requestId', null],
])('refuses to start and names %s', (name, options) => {
  expect(() => requestId(options as RequestIdOptions)).toThrow(ConfigError)
  expect(() => requestId(options as RequestIdOptions)).toThrow(name)
})

test('describes its effective options', () => {
  expect(requestId().stage.describe()).toEqual({
    header: 'X-Request-Id',
    trustIncoming: false,
    trace: 'continue',
    sampled: false,
  })
})
