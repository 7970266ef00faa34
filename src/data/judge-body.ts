import type { IncomingMessage } from 'node:http'
import type { SecurityContext } from '../kernel/context.js'
import type { Problem } from '../kernel/problem.js'
import { isJsonType, parseMediaType } from '../lib/media-type.js'
import { when } from '../lib/when.js'
import { unsupportedBody } from '../kernel/body-faults.js'
import type { BodyLimits } from './body-limits.js'
import { bodyRead } from './body-read.js'
import { readBody } from './read-body.js'

/** A body, ready to be judged. `value` is `undefined` if there is none. */
export interface SentBody {
  readonly value: unknown
  /** How many values it consists of. */
  readonly values: number
}

/**
 * The parsed body of a request, read now if no earlier stage did. 415 `unsupported-media-type` for one that is no JSON.
 *
 * @throws Error if it is JSON and out of reach: the application is wired wrongly
 */
export function bodyToJudge(
  ctx: SecurityContext,
  limits: BodyLimits,
): SentBody | Problem | Promise<SentBody | Problem> {
  const problem = ctx.get(bodyRead) === undefined ? readBody(ctx, limits) : undefined
  return when(problem, (refusal) => refusal ?? found(ctx))
}

function found(ctx: SecurityContext): SentBody | Problem {
  const { kind, cost } = ctx.get(bodyRead)!
  if (kind === 'none') return { value: undefined, values: 1 }
  const { body, headers } = ctx.req as IncomingMessage & { body?: unknown }
  if (kind === 'json') return { value: body, values: 1 + cost.keys + cost.items }

  const type = parseMediaType(headers['content-type'] ?? '')
  if (type === undefined || !isJsonType(type)) return unsupportedBody('media-type')
  throw new Error(
    kind === 'raw'
      ? 'A body schema needs parsed JSON, but the body of this route is read as raw bytes'
      : 'Something consumed the body before it could be validated, and left no value on req.body',
  )
}
