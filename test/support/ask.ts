import type { IncomingMessage, ServerResponse } from 'node:http'
import { SecurityContext } from '../../src/kernel/context.js'
import type { Problem } from '../../src/kernel/problem.js'
import type { Services } from '../../src/kernel/services.js'
import type { Stage } from '../../src/kernel/stage.js'

/** What a stage decided: a status, and for refusals the problem. */
export interface Answer {
  readonly status: number
  readonly problem: Problem | undefined
  readonly ctx: SecurityContext
}

/** Asks a stage about a request with this header, without a server: for thousands of requests at one moment. */
export async function ask(stage: Stage, services: Services, authorization?: string): Promise<Answer> {
  const headers = authorization === undefined ? {} : { authorization }
  const rawHeaders = authorization === undefined ? [] : ['Authorization', authorization]
  const req = { method: 'GET', url: '/', headers, rawHeaders, socket: {} } as unknown as IncomingMessage
  const ctx = new SecurityContext(req, {} as unknown as ServerResponse, services)
  const verdict = await stage.enter!(ctx)
  const problem = verdict as Problem | undefined
  return { status: problem?.status ?? 200, problem, ctx }
}
