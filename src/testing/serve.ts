import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type request from 'supertest'
import { compile, type CompileOptions } from '../kernel/compile.js'
import { knownKeys } from '../kernel/check.js'
import { createServices, SERVICE_OPTIONS, type ServiceOptions } from '../kernel/services.js'
import type { Middleware, Next, StageMiddleware } from '../kernel/stage.js'
import { fakeClock, type FakeClock } from './fake-clock.js'
import { supertest } from './supertest.js'

export interface ServeOptions extends ServiceOptions, Omit<CompileOptions, 'services'> {
  /** What stands behind the stage. Default: answers 200 with `{"ok":true}`. */
  handler?: (req: IncomingMessage, res: ServerResponse, next: Next) => void
  /** The clock of the stage. Default: a new fake clock. */
  clock?: FakeClock
}

export interface Served extends Record<
  'get' | 'head' | 'post' | 'put' | 'patch' | 'delete' | 'options',
  (path: string) => request.Test
> {
  readonly clock: FakeClock
  /** How often the handler behind the stage ran. */
  readonly handled: () => number
  readonly server: Server
}

type Json = ServerResponse & { json?: (body: unknown) => void }

/**
 * Serves one stage, a list of stages, or any middleware on plain `node:http`, for tests with supertest. Stages get a fake clock and
 * the services given; middleware that was compiled before keeps its own. Throws if supertest is not installed.
 *
 * @example
 * const { get, clock } = serve(rateLimit({ limit: 1, windowMs: 1_000 }))
 * await get('/').expect(200)
 * await get('/').expect(429)
 * clock.advance(1_000)
 * await get('/').expect(200)
 */
export function serve(
  subject: StageMiddleware | readonly StageMiddleware[] | Middleware,
  options: ServeOptions = {},
): Served {
  knownKeys('serve', options, ['handler', 'enforcement', 'trace', 'asyncContext', ...SERVICE_OPTIONS])
  const request = supertest()
  const { handler = answerOk, clock = fakeClock(), enforcement, trace, asyncContext, ...outside } = options
  const log = outside.log ?? { info: ignore, warn: ignore, error: ignore }
  const services = createServices({ ...outside, clock, log })
  const stages = stagesOf(subject)
  const middleware =
    stages === undefined
      ? (subject as Middleware)
      : compile(stages, {
          services,
          ...(enforcement && { enforcement }),
          ...(trace !== undefined && { trace }),
          ...(asyncContext !== undefined && { asyncContext }),
        })

  let handled = 0
  const server = createServer((req, res) => {
    const finish: Next = (error) => {
      if (error === undefined) return
      res.statusCode = 599
      res.end(error instanceof Error ? error.message : 'next was called with something odd')
    }
    middleware(req, res, (error) => {
      if (error !== undefined) return finish(error)
      handled++
      handler(req, res, finish)
    })
  })

  const send = (method: 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete' | 'options') => (path: string) =>
    request(server)[method](path)
  return {
    get: send('get'),
    head: send('head'),
    post: send('post'),
    put: send('put'),
    patch: send('patch'),
    delete: send('delete'),
    options: send('options'),
    clock,
    handled: () => handled,
    server,
  }
}

function stagesOf(subject: StageMiddleware | readonly StageMiddleware[] | Middleware) {
  if (typeof subject !== 'function') return subject.map(({ stage }) => stage)
  return 'stage' in subject ? [subject.stage] : undefined
}

function answerOk(_req: IncomingMessage, res: Json): void {
  if (res.json) return res.json({ ok: true })
  res.setHeader('Content-Type', 'application/json')
  res.end('{"ok":true}')
}

const ignore = (): void => undefined
