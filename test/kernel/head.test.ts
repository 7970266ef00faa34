import { createServer, IncomingMessage, ServerResponse, type RequestListener } from 'node:http'
import { Socket } from 'node:net'
import request from 'supertest'
import { answered, contextOf, forward, refuse, secureApi, type SecureApi } from '../../src/index.js'
import type { SecurityContext } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import { PendingHead } from '../../src/kernel/head.js'
import type { StageMiddleware } from '../../src/kernel/stage.js'

const api = (more: Partial<Parameters<typeof secureApi>[0]> = {}): SecureApi =>
  secureApi({
    auth: false,
    audit: false,
    cors: { origins: ['https://shop.example'] },
    rateLimit: { limit: 1 },
    ...more,
  })

const ok: RequestListener = (_req, res) => {
  res.setHeader('Content-Type', 'text/plain')
  res.end('ok')
}

/** The second answer of a limit of one, and the first. */
async function answers(listener: RequestListener) {
  const server = createServer(listener)
  const ask = () => request(server).get('/').set('Origin', 'https://shop.example')
  const first = await ask().expect(200)
  return { first, refused: await ask().expect(429) }
}

const named = (raw: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(raw).filter(([name]) => !/^(date|x-request-id|traceparent|ratelimit)$/.test(name)),
  )

describe('a refusal in front of everything', () => {
  test('has the same head in one piece as field by field', async () => {
    const inOnePiece = await answers(api().protect(ok))
    const secured = api().protect(ok)
    const fieldByField = await answers((req, res) => {
      res.setHeader('X-Before', 'set by somebody else')
      secured(req, res)
    })
    const { 'x-before': before, ...others } = named(fieldByField.refused.headers)
    expect(before).toBe('set by somebody else')
    expect(others).toEqual(named(inOnePiece.refused.headers as Record<string, string>))
    expect(others).toMatchObject({
      'x-content-type-options': 'nosniff',
      'access-control-allow-origin': 'https://shop.example',
      vary: 'Origin',
      'retry-after': '60',
      'ratelimit-policy': '"default";q=1;w=60',
      'cache-control': 'no-store',
    })
    expect(inOnePiece.refused.text).toContain('"code":"rate-limited"')
  })

  test('goes field by field through whoever wrapped writeHead before', async () => {
    const secured = api().protect(ok)
    const { refused } = await answers((req, res) => {
      const { writeHead } = res
      res.writeHead = function (this: ServerResponse, status: number, ...more: unknown[]) {
        this.setHeader('X-Seen', String(this.getHeader('Content-Type')))
        expect(more).toEqual([])
        return writeHead.call(this, status)
      }
      secured(req, res)
    })
    expect(refused.headers['x-seen']).toBe('application/problem+json; charset=utf-8')
    expect(refused.headers['x-content-type-options']).toBe('nosniff')
  })

  test.each([
    ['a line break in a value', { 'Retry-After': '1\r\nSet-Cookie: a=b' }],
    ['a line break in one of several values', { 'WWW-Authenticate': ['Bearer', 'Basic\n'] }],
    ['a name that is none', { 'Retry After': '1' }],
  ])('that cannot be written (%s) becomes 500 `broken`, whole', async (_what, headers) => {
    const log = { error: jest.fn(), warn: jest.fn(), info: jest.fn() }
    const broken = defineStage('broken', () => ({ enter: () => refuse('forbidden', { headers }) }))
    const { protect } = api({ extra: [{ after: 'rateLimit', stage: broken() }], log: log })
    const reply = await request(createServer(protect(ok)))
      .get('/')
      .expect(500)
    expect(reply.body).toMatchObject({ code: 'broken', status: 500 })
    expect(reply.headers['x-content-type-options']).toBe('nosniff')
    expect(reply.headers['set-cookie']).toBeUndefined()
    expect(reply.headers['retry-after']).toBeUndefined()
  })
})

describe('what a refusal was sent with is found on its response', () => {
  test.each(['in one piece', 'field by field'])('%s', async (how) => {
    const found: unknown[] = []
    const secured = api().protect(ok)
    await answers((req, res) => {
      if (how === 'field by field') res.setHeader('X-Before', '1')
      res.on('finish', () => {
        if (res.statusCode !== 429) return
        const names = res.getHeaderNames().filter((name) => name !== 'x-before')
        found.push(res.getHeader('content-TYPE'), res.hasHeader('Retry-after'), res.hasHeader('X-None'))
        found.push(names.sort(), Object.keys(res.getHeaders()).includes('vary'), res.headersSent)
        found.push(
          (res as unknown as { getRawHeaderNames: () => string[] }).getRawHeaderNames().includes('Vary'),
        )
      })
      secured(req, res)
    })
    expect(found).toEqual([
      'application/problem+json; charset=utf-8',
      true,
      false,
      expect.arrayContaining(['x-request-id', 'retry-after', 'content-length', 'vary']),
      true,
      true,
      true,
    ])
  })
})

describe('a field that cannot be sent', () => {
  test.each([
    ['a value', 'X-Bad', 'a\r\nX-Injected: 1'],
    ['one of several', 'X-Bad', ['a', 'b\n']],
    ['a name', 'X Bad', 'a'],
    ['nothing', 'X-Bad', undefined as never],
    ['a list with nothing', 'X-Bad', [undefined as never]],
  ])('is refused to the stage that sets it, and answered 500: %s', async (_what, name, value) => {
    const setting = defineStage('setting', () => ({
      enter: ({ head }) => {
        head.setHeader(name, value)
      },
    }))
    for (const headers of [true, false]) {
      const { protect } = api({
        headers,
        extra: [{ after: 'rateLimit', stage: setting() }],
        log: { error: jest.fn(), warn: jest.fn(), info: jest.fn() },
      })
      const handler = jest.fn(ok)
      const reply = await request(createServer(protect(handler)))
        .get('/')
        .expect(500)
      expect(reply.body).toMatchObject({ code: 'broken' })
      expect(reply.headers).not.toHaveProperty('x-injected')
      expect(handler).not.toHaveBeenCalled()
    }
  })
})

describe('a refusal that cannot be written is answered 500, with all fields', () => {
  const refused = async (stage: StageMiddleware) => {
    const { protect } = api({
      extra: [{ after: 'rateLimit', stage }],
      log: { error: jest.fn(), warn: jest.fn(), info: jest.fn() },
    })
    const reply = await request(createServer(protect(ok))).get('/')
    expect(Number(reply.headers['content-length'])).toBe(reply.text.length)
    expect(reply.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
    return reply
  }

  test('because of a trailer', async () => {
    const enter = () => refuse('forbidden', { headers: { Trailer: 'X-End' } })
    const reply = await refused(defineStage('trailing', () => ({ enter }))())
    expect(reply.status).toBe(500)
  })

  test('and a list that changes after it was set is sent as it was', async () => {
    const list = ['a']
    const enter = ({ head }: SecurityContext) => {
      head.setHeader('X-List', list)
      list.push('b\r\nX-Injected: 1')
      return refuse('forbidden')
    }
    const reply = await refused(defineStage('changing', () => ({ enter }))())
    expect(reply.status).toBe(403)
    expect(reply.headers['x-list']).toBe('a')
  })
})

test('a wrapper of setHeader in front sees the fields of a refusal', async () => {
  const secured = api().protect(ok)
  const { refused } = await answers((req, res) => {
    const { setHeader } = res
    res.setHeader = (name, value) => (/^x-frame/i.test(name) ? res : setHeader.call(res, name, value))
    secured(req, res)
  })
  expect(refused.headers).not.toHaveProperty('x-frame-options')
  expect(refused.headers['x-content-type-options']).toBe('nosniff')
})

describe('whoever comes later wins', () => {
  const policy = "default-src 'self'"
  const own = (act: (res: ServerResponse) => void) =>
    defineStage('own', () => ({
      enter: ({ res }) => {
        act(res)
      },
    }))()

  test.each([
    ['refusals', 0],
    ['replies', 9],
  ])('a stage that sets a field on the response keeps it, in %s', async (_which, limit) => {
    const stage = own((res) => res.setHeader('content-security-policy', policy))
    const { protect } = api({
      extra: [{ after: 'headers', stage }],
      rateLimit: { limit: 1, cost: () => (limit === 0 ? 2 : 1) },
    })
    const reply = await request(createServer(protect(ok))).get('/')
    expect(reply.status).toBe(limit === 0 ? 429 : 200)
    expect(reply.headers['content-security-policy']).toBe(policy)
  })

  test('handlers find every field on the response', async () => {
    const found = jest.fn()
    const secured = api().protect((req: IncomingMessage, res: ServerResponse) => {
      found(res.getHeader('X-Request-Id') === contextOf(req)?.id, res.getHeader('X-Content-Type-Options'))
      res.end()
    })
    await request(createServer(secured)).get('/')
    expect(found).toHaveBeenCalledWith(true, 'nosniff')
  })

  test('and so do those who answer refusals themselves', async () => {
    const secured = api({ respond: forward, rateLimit: { limit: 1, cost: () => 2 } })
    const server = createServer((req, res) => {
      secured(req, res, () => res.writeHead(418).end(String(res.getHeader('X-Content-Type-Options'))))
    })
    const reply = await request(server).get('/').expect(418)
    expect(reply.text).toBe('nosniff')
  })

  test('a stage that answers itself sends what the others have set', async () => {
    const answerer = defineStage('hello', () => ({
      enter: ({ res }) => {
        res.end('hello')
        return answered
      },
    }))
    const secured = api({ extra: [{ after: 'cors', stage: answerer() }] })
    const reply = await request(createServer(secured.protect(ok)))
      .get('/')
      .expect(200)
    expect(reply.text).toBe('hello')
    expect(reply.headers['x-content-type-options']).toBe('nosniff')
    expect(reply.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('fields that wait', () => {
  function waiting(set: Record<string, string> = {}) {
    const fields = new Map(Object.entries(set).map(([name, value]) => [name.toLowerCase(), value]))
    const res = {
      hasHeader: (name: string) => fields.has(name.toLowerCase()),
      getHeader: (name: string) => fields.get(name.toLowerCase()),
      setHeader: (name: string, value: string) => fields.set(name.toLowerCase(), value),
      removeHeader: (name: string) => fields.delete(name.toLowerCase()),
    }
    return { head: new PendingHead(res as unknown as ServerResponse), fields }
  }

  test('are found under any spelling, once', () => {
    const { head, fields } = waiting()
    head.setHeader('Vary', 'Origin')
    head.setHeader('VARY', 'Accept')
    expect(head.getHeader('vary')).toBe('Accept')
    expect(head.hasHeader('vArY')).toBe(true)
    expect(head.hasHeader('Very')).toBe(false)
    expect(fields.size).toBe(0)
    head.commit()
    expect([...fields]).toEqual([['vary', 'Accept']])
  })

  test('stand beside what is set', () => {
    const { head, fields } = waiting({ 'X-Frame-Options': 'SAMEORIGIN' })
    head.setHeader('X-Frame-Options', 'DENY')
    expect(fields.get('x-frame-options')).toBe('DENY')
    head.setHeader('Vary', 'Origin')
    fields.set('vary', 'Accept')
    head.commit()
    expect(fields.get('vary')).toBe('Accept')
  })

  test('are set without a look where nothing is set, and then are all there is', () => {
    const set = () => {
      const res = new ServerResponse(new IncomingMessage(new Socket()))
      const head = new PendingHead(res)
      head.setHeader('Vary', 'Origin')
      head.setHeader('Allow', 'GET')
      return { res, head }
    }
    const { res, head } = set()
    expect(head.commit()).toEqual(['Vary', 'Allow'])
    expect(res.getHeaders()).toEqual({ vary: 'Origin', allow: 'GET' })

    const other = set()
    other.res.setHeader('vary', 'Accept')
    expect(other.head.commit()).toBeUndefined()
    expect(other.res.getHeaders()).toEqual({ vary: 'Accept', allow: 'GET' })

    const wrapped = set()
    const { setHeader } = wrapped.res
    wrapped.res.setHeader = (name, value) => {
      setHeader.call(wrapped.res, 'Allow', 'POST')
      return setHeader.call(wrapped.res, name, value)
    }
    expect(wrapped.head.commit()).toBeUndefined()
    expect(wrapped.res.getHeaders()).toEqual({ vary: 'Origin', allow: 'POST' })
  })

  test('are removed, wherever they are', () => {
    const { head, fields } = waiting({ Server: 'me' })
    head.setHeader('Vary', 'Origin')
    head.removeHeader('vary')
    head.removeHeader('server')
    head.commit()
    expect(fields.size).toBe(0)
  })

  test('are known to be there until somebody takes one off, or they are where anybody may', () => {
    const { head } = waiting({ Server: 'me' })
    head.setHeader('Vary', 'Origin')
    head.removeHeader('X-Powered-By')
    expect(head.intact).toBe(true)
    head.removeHeader('vary')
    expect(head.intact).toBe(false)

    const other = waiting({ Server: 'me' }).head
    other.setHeader('Server', 'you')
    expect(other.intact).toBe(false)
  })

  test('are told apart by more than their length and their end', () => {
    const { head } = waiting()
    head.setHeader('X-Frame', 'a')
    head.setHeader('Y-Frame', 'b')
    head.setHeader('X-Framf', 'c')
    head.setHeader('x-framE', 'd')
    expect(head.fields).toEqual(['X-Frame', 'd', 'Y-Frame', 'b', 'X-Framf', 'c'])
  })
})
